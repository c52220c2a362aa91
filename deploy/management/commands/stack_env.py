"""Print what the processes need of a provisioned stack."""

import shlex
from typing import Any

from deploy import environment
from deploy.management.base import StackCommand


class Command(StackCommand):
    """Print the environment for a shell: `set -a; eval "$(python manage.py stack_env)"`."""

    help = "Print, as KEY=VALUE lines quoted for a shell, all that the processes need of the provisioned stacks."

    def run(self, **options: Any) -> None:
        """Print one line a variable."""
        for name, value in environment.of(options["prefix"]).items():
            self.stdout.write(f"{name}={shlex.quote(value)}")
