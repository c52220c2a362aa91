"""Read arguments that several commands take."""

from argparse import ArgumentTypeError
from datetime import datetime

from deploy.operate import log_lines


def time(text: str) -> datetime:
    """Return the time that "10m", "2h", "1d" or an ISO 8601 time means."""
    try:
        return log_lines.since(text, log_lines.now())
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time: give 10m, 2h, 1d or a time in ISO 8601.") from None
