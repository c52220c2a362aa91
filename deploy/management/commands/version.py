"""`manage.py version`: which release and which commit this is."""

from typing import Any

from django.core.management.base import BaseCommand

from botsite import release


class Command(BaseCommand):
    help = "Print the version and the commit."
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django's own declaration of it

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one line."""
        self.stdout.write(release.text())
