"""`manage.py version`: which release and which commit this is, and which model it runs."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from botsite import release


class Command(BaseCommand):
    help = "Print the version, the commit, and which model answers here."
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django's own declaration of it

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a line, and another where there is a model."""
        self.stdout.write(release.text())
        if model := _model():
            self.stdout.write(f"model: {model}")


def _model() -> str:
    """Return what YOLO_WEIGHTS names, else the demo's choice; nothing on a machine that has no model."""
    if named := os.environ.get("YOLO_WEIGHTS"):
        return Path(named).name
    with suppress(ModuleNotFoundError):  # The images have no deploy/local.
        from deploy.local import sample

        return sample.model()[1]
    return ""
