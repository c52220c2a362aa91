"""Break the transport at random, and print what the checker finds.

make history                                   four workers, 2,000 tasks, five minutes, seed 1
python -m botsite.sqs.tests.history 1 2 3      the same with other seeds
python -m botsite.sqs.tests.history 1 --seconds 60 --tasks 400
"""

import argparse
import sys
import tempfile
from pathlib import Path

from ..support.worker import running_emulator, taken_for_aws
from .judge import PROMISES, History
from .run import Plan, run


def table(histories: dict[int, History]) -> str:
    """Return what was promised and how often it was broken, as Markdown."""
    rows = {name: [str(one.figures()[name]) for one in histories.values()] for name in figures(histories)}
    for name, text in PROMISES.items():
        rows[f"{name}: {text}"] = [str(len(one.broken()[name])) for one in histories.values()]
    head = ["seed", *map(str, histories)]
    lines = [head, ["---"] * len(head), *([name, *cells] for name, cells in rows.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figures(histories: dict[int, History]) -> list[str]:
    """Return the names of the figures."""
    return list(next(iter(histories.values())).figures())


def main() -> int:
    """Run the seeds one after the other; return how many promises were broken."""
    plan = Plan()
    parser = argparse.ArgumentParser(prog="history", description="Break the transport at random, and judge it.")
    parser.add_argument("seeds", nargs="*", type=int, default=[1], help="what decides the faults (default: 1)")
    parser.add_argument("--seconds", type=float, default=plan.seconds, help="how long faults go on")
    parser.add_argument("--tasks", type=int, default=plan.tasks, help="how many tasks are sent")
    parser.add_argument("--workers", type=int, default=plan.workers, help="how many workers run")
    parser.add_argument("--mutant", default="", help="break the transport on purpose; mutants.py has the names")
    told = vars(parser.parse_args())
    histories: dict[int, History] = {}
    for seed in told.pop("seeds"):
        folder = Path(tempfile.mkdtemp(prefix=f"history-{seed}-"))
        with running_emulator() as url, taken_for_aws(url, folder) as aws:
            histories[seed] = run(Plan(seed=seed, **told), aws, folder)
        broken = {promise: names for promise, names in histories[seed].broken().items() if names}
        sys.stderr.write(f"seed {seed}: {broken or 'every promise kept'}; journal and logs in {folder}\n")
    sys.stdout.write(table(histories) + "\n")
    return sum(len(names) for one in histories.values() for names in one.broken().values())


if __name__ == "__main__":
    sys.exit(min(main(), 1))
