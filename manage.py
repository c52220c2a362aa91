#!/usr/bin/env python
"""Run Django's and this project's management commands: `python manage.py help`."""

import os
import sys
from contextlib import suppress

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")
    with suppress(ModuleNotFoundError):  # The images have no deploy/local.
        from deploy.local import demo_environment

        demo_environment.adopt(sys.argv)
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
