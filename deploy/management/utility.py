"""The command line: Django's, which begins with this project's own commands."""

import re
import sys

import django
from django.core.management import ManagementUtility, get_commands, load_command_class

OURS = ("botsite", "detection", "metrics", "deploy")


class Utility(ManagementUtility):
    """List our commands where none is given, and run our `version`, which Django would answer with its own."""

    def execute(self) -> None:
        """Run what the command line asks for."""
        match self.argv[1:]:
            case []:
                django.setup()
                sys.stdout.write(overview())
            case ["version", *_]:
                django.setup()
                self.fetch_command("version").run_from_argv(self.argv)
            case _:
                super().execute()


def overview() -> str:
    """Return our commands, a line each."""
    names = sorted(name for name, app in get_commands().items() if app in OURS)
    width = max(map(len, names))
    lines = [f"  {name:<{width}}  {_sentence(name)}" for name in names]
    return "\n".join(
        [
            "Commands of the object detection service:",
            "",
            *lines,
            "",
            "`python manage.py COMMAND --help` explains one; `python manage.py help` lists Django's, too.",
            "",
        ]
    )


def _sentence(name: str) -> str:
    """Return what a command does: its help up to the first full stop or colon."""
    text: str = load_command_class(get_commands()[name], name).help
    return re.split(r"[.:](?: |$)", text)[0]
