"""The command line: Django's, which begins with this project's own commands."""

import os
import re
import signal
import sys
import textwrap

import django
from django.core.management import ManagementUtility, get_commands, load_command_class
from django.core.management.base import BaseCommand

OURS = ("botsite", "detection", "metrics", "deploy")
LISTED = {
    "Every day": [
        "status",
        "doctor",
        "logs",
        "events",
        "trace",
        "audit",
        "cost",
        "dlq",
        "pause",
        "resume",
        "scale",
        "exec",
        "rollback",
        "restart",
    ],
    "Set up": ["provision", "set_webhook", "bake_ami", "rotate", "acceptance", "teardown"],
    "On this machine": ["demo", "poll", "version"],
    "Measure": ["loadtest", "simulate_scaling"],
}
# Scripts and the demo call these, and people look for something else.
UNLISTED = ("stack_env", "export_weights")


class Utility(ManagementUtility):
    """List our commands where none is given; run our `help` and `version`, which Django would answer with its own.

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
            case ["help" | "--help" | "-h"]:
                django.setup()
                sys.stdout.write(overview(djangos=True))
            case ["version", *_]:
                django.setup()
                self.fetch_command("version").run_from_argv(self.argv)
            case _:
                super().execute()


def overview(djangos: bool = False) -> str:
    """Return our commands by what they are for, a line each; then Django's, if wanted."""
    commands = get_commands()
    width = max(len(name) for names in LISTED.values() for name in names)
    lines = ["Commands of the object detection service:"]
    for title, names in LISTED.items():
        lines += ["", title, *(f"  {name:<{width}}  {sentence(name)}" for name in names)]
    if djangos:
        others = ", ".join(sorted(name for name, app in commands.items() if app not in OURS))
        lines += ["", "Django's", *textwrap.wrap(others, 80, initial_indent="  ", subsequent_indent="  ")]
    more = "" if djangos else "; `python manage.py help` lists Django's, too"
    return "\n".join([*lines, "", f"`python manage.py COMMAND --help` explains one{more}.", ""])


def sentence(name: str) -> str:
    """Return what a command does: its help up to the first full stop, colon or semicolon."""
    text: str = load_command_class(get_commands()[name], name).help
    return re.split(r"[.:;](?: |$)", text)[0]
