"""Run the same app on each of what runs tasks on SQS in Python, and print what came of it.

make shootout                                            all of them, half an hour
python -m botsite.sqs.tests.shootout --trials long idle  some of the trials
"""

import argparse
import sys
import tempfile
from pathlib import Path

from ..support.worker import running_emulator, taken_for_aws
from .bout import Bout
from .peers import PEERS, Environments
from .region import Region
from .trials import TRIALS, Figures


def table(figures: dict[str, Figures]) -> str:
    """Return the figures of each peer as Markdown, a column for each."""
    rows = dict.fromkeys(name for one in figures.values() for name in one)
    lines = [["", *figures], ["---"] * (len(figures) + 1)]
    lines += [[row, *(one.get(row, "-") for one in figures.values())] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Run the trials one after the other."""
    names = [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(prog="shootout", description="Compare what runs tasks on SQS.")
    parser.add_argument("--peers", nargs="*", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--trials", nargs="*", choices=TRIALS, default=list(TRIALS), help="default: all")
    parser.add_argument("--python", default=sys.executable, help="what the environments are made of: 3.12 or later")
    parser.add_argument("--environments", type=Path, help="where they are kept (default: made anew)")
    told = parser.parse_args()
    figures: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="shootout-") as temporary:
        environments = Environments(told.environments or Path(temporary) / "environments", told.python)
        for peer in (peer for peer in PEERS if peer.name in told.peers):
            python, figures[peer.name] = environments.python_of(peer), {}
            for name in told.trials:
                trial, visibility = TRIALS[name]
                folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=temporary))
                # An emulator of its own for each: one that has seen much is slower.
                with (
                    running_emulator() as url,
                    taken_for_aws(url, folder) as aws,
                    Region(url).running() as region,
                ):
                    found = trial(Bout(peer, python, aws, region, folder, visibility))
                sys.stderr.write(f"{peer.name}, {name}: {found}\n")
                figures[peer.name] |= found
    sys.stdout.write(table(figures) + "\n")


if __name__ == "__main__":
    main()
