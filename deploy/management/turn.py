"""Have only one command at a time change a service."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError, CommandParser
from rich.console import Console

from deploy import lock
from deploy.lock import Run
from deploy.management.confirm import confirm
from deploy.operate import operators
from deploy.service import Service


def add_yes(parser: CommandParser, meaning: str) -> None:
    """Add --yes, which also has a run that has ended no longer stand in the way."""
    ended = "its process on this machine is gone, or it is 6 hours old"
    parser.add_argument(
        "--yes", action="store_true", help=f"{meaning}; another run's lock is taken over only if it has ended: {ended}"
    )


@contextmanager
def taken(console: Console, service: Service, command: str, sure: bool) -> Iterator[None]:
    """Let nobody else change the service within the block; raise CommandError, naming the other run, if one does.

    Whoever is at a terminal may take over; `sure` does so by itself only from a run that has ended.
    """
    run = lock.this_run(command, operators.caller())
    if holder := lock.begin(service, run):
        _agree(console, service, holder, sure)
        if other := lock.take_over(service, holder, run):
            raise CommandError(f"Nothing was changed. {_sentence(service, other)}")
    try:
        yield
    finally:
        lock.end(service, run)


def _agree(console: Console, service: Service, holder: Run, sure: bool) -> None:
    sentence = _sentence(service, holder)
    if not holder.ended:
        dangerous = "If that still runs, the two would undo each other's work. Take over? [y/N] "
        instead = "Wait until it has ended. If it was killed, run this on a terminal, which asks."
        confirm(console, f"{sentence} {dangerous}", "Nothing was changed", f"{sentence} {instead}")
    elif sure:
        console.print(f"{sentence} It has ended without giving that back, so this run takes over.", markup=False)
    else:
        question = f"{sentence} It has ended without giving that back. Take over? [y/N] "
        confirm(console, question, "Nothing was changed", f"{sentence} It has ended: add --yes to take over.")


def _sentence(service: Service, holder: Run) -> str:
    return f"{service} is locked by {holder}."
