"""Have somebody at a terminal agree to something."""

import sys

from django.core.management.base import CommandError
from rich.console import Console


def confirm(console: Console, question: str, nothing: str, instead: str, *, typed: str = "", refused: str = "") -> None:
    """Ask; raise CommandError if nobody agrees: `nothing` says what was not done, such as "Nothing was deleted".

    The answer has to be y or yes, or exactly the text to be `typed` for what can't be undone. Where there is no
    terminal, the error says how to do it `instead`; after a no it says `refused`.
    """
    if not sys.stdin.isatty():
        raise CommandError(f"{nothing}: there is no terminal to ask on. {instead}")
    # With the output redirected, the question would be in the file.
    asking = console if console.is_terminal else Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        answer = asking.input(question, markup=False).strip()
    except EOFError:
        # Ctrl-D leaves the cursor behind the question.
        asking.print()
        answer = ""
    if not (answer == typed if typed else answer.lower() in ("y", "yes")):
        raise CommandError(f"{nothing}. {refused}".rstrip())
