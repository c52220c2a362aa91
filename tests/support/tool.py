"""Start a tool of this folder: what its `command` module imports needs Django."""

import os
from importlib import import_module

import django


def run(name: str, usage: str | None) -> None:
    """Set Django up, then do what the command line asks of the tool."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")
    os.environ.setdefault("LOG_FORMAT", "json")
    django.setup()
    import_module(f"tests.{name}.command").run(usage or "")
