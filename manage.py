#!/usr/bin/env python
"""Run Django's and this project's management commands: `python manage.py help`."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
