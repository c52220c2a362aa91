"""Have boto read its description of a service once a process, however many sessions there are.

Tests drop their clients and sessions for each account, and reading these files again is most of what a client costs.
"""

from functools import cache

import botocore.session
from botocore.loaders import create_loader

botocore.session.create_loader = cache(create_loader)
