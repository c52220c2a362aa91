"""Print the environment that the stacks give to the service's processes."""

import shlex
from typing import Any

from deploy.management.base import StackCommand
from deploy.service import Service


class Command(StackCommand):
    """Print the environment for a shell: `set -a; eval "$(python manage.py stack_env)"`."""

    help = "Print the environment of the service's processes, as KEY=VALUE lines quoted for a shell."

    def run(self, service: Service, **options: Any) -> None:
        """Print a line per variable."""
        for name, value in service.environment().items():
            self.stdout.write(f"{name}={shlex.quote(value)}")
