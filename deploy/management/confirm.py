"""Ask somebody at a terminal: to agree, or for a secret. Ctrl-C at a question says that nothing was done."""

import getpass
import sys

from django.core.management.base import CommandError
from rich.console import Console


def confirm(console: Console, question: str, nothing: str, instead: str, *, typed: str = "", refused: str = "") -> None:
    """Ask; raise CommandError if nobody agrees: `nothing` says what was not done, such as "Nothing was deleted".

    The answer has to be y or yes, or exactly the text to be `typed` for what can't be undone. Where there is no
    terminal, the error says how to do it `instead`; after a no it says `refused`.
    """
    if not sys.stdin.isatty():
        raise _unasked(nothing, instead)
    # With the output redirected, the question would be in the file.
    asking = console if console.is_terminal else Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        answer = asking.input(question, markup=False).strip()
    except EOFError:
        # Ctrl-D leaves the cursor behind the question.
        asking.print()
        answer = ""
    except KeyboardInterrupt as interrupt:
        asking.print()
        raise _interrupted(nothing) from interrupt
    if not (answer == typed if typed else answer.lower() in ("y", "yes")):
        raise CommandError(f"{nothing}. {refused}".rstrip())


def ask_secret(question: str, nothing: str, instead: str) -> str:
    """Return what somebody at a terminal types without seeing it; raise CommandError as `confirm` does."""
    if not sys.stdin.isatty():
        raise _unasked(nothing, instead)
    try:
        return getpass.getpass(question).strip()
    except EOFError:
        return ""
    except KeyboardInterrupt as interrupt:
        sys.stderr.write("\n")
        raise _interrupted(nothing) from interrupt


def _unasked(nothing: str, instead: str) -> CommandError:
    return CommandError(f"{nothing}: there is no terminal to ask on. {instead}")


def _interrupted(nothing: str) -> CommandError:
    return CommandError(f"{nothing}: interrupted before it began.", returncode=130)
