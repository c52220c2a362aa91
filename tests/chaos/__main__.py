"""Break everything that can break between a photo and its answer, and count the answers.

    make chaos                                  everything
    python -m tests.chaos --only 'dynamodb*'    the cells whose title matches
    python -m tests.chaos --only random --seed 7 --photos 1000 --minutes 10

Every photo that Telegram handed over has to get exactly one answer: a result or an honest apology. An answer may be
double only where the reply to a send was lost, by a fault or with the process that waited for it, and then once.

The service runs on this machine, as in the demo, with a proxy between its roles and AWS that breaks what it is told
to. What it waits for is shortened (`tests/chaos/patience.py`), in proportion, so that a cell takes seconds: "recovered"
is from the end of the fault until all answers are there, under these shortened patiences; with CHAOS_UNHURRIED=1 in the
environment, under the product's own. The matrix is also in `var/chaos/matrix.json`. Exit code 1: an answer was lost, or
doubled beyond that rule, or a fault hit nothing.
"""

import os

import django


def main() -> None:
    """Set Django up, then do what the command line asks for."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")
    os.environ.setdefault("LOG_FORMAT", "json")
    django.setup()
    # What this imports needs Django.
    from . import command

    command.run(__doc__ or "")


if __name__ == "__main__":
    main()
