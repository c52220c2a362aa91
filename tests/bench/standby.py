"""Measure the metric and the worker on standby together, each under its limit on memory, while hostile files come.

    python -m tests.bench.standby

Sends each hostile file once, a photo with each, and says what both used at most, what was killed, and how late the
metric was. Exit code 1: something was killed, stayed without an answer, or a point of the metric was missing.
"""

import os
import sys
import tempfile
from pathlib import Path

import django


def main() -> None:
    """Run it, and print what came of it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")
    django.setup()
    from deploy.local import sample
    from tests.support.hostile import zoo
    from tests.support.small_machine import PERIOD_SECONDS, Small, throw

    chosen = sample.choose()
    with tempfile.TemporaryDirectory() as folder:
        stack = Small(Path(folder), chosen.weights, hosts=("127.0.0.1",))
        with stack.running():
            found = throw(stack, chosen.photo, list(zoo(chosen.photo)))
        stack.memory.close()
    sys.stdout.write(f"{found}\n")
    sys.exit(bool(found.kills or found.unanswered or found.longest_gap > 2 * PERIOD_SECONDS))


if __name__ == "__main__":
    main()
