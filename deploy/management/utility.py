"""The command line: Django's, which begins with this project's own commands."""

import os
import re
import signal
import sys

import django
from django.core.management import ManagementUtility, get_commands, load_command_class
from django.core.management.base import BaseCommand

OURS = ("botsite", "detection", "metrics", "deploy")


class Utility(ManagementUtility):
    """List our commands where none is given, and run our `version`, which Django would answer with its own.

    Ctrl-C, Ctrl-D and a reader that has seen enough (`| head`) end a command without a traceback.
    """

    def execute(self) -> None:
        """Run what the command line asks for."""
        try:
            self._execute()
            sys.stdout.flush()
        except KeyboardInterrupt:
            sys.exit(130)
        except EOFError:
            sys.exit("The input has ended: nothing more was done.")
        except BrokenPipeError:
            # Python flushes once more when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)

    def fetch_command(self, subcommand: str) -> BaseCommand:
        """Return the command, which from now on gets Ctrl-C as KeyboardInterrupt (manage.py)."""
        command = super().fetch_command(subcommand)
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return command

    def _execute(self) -> None:
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
