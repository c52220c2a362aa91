"""Break the code in thirty small ways, one at a time, and see which tests notice.

    python -m tests.mutants                    all of them, in about twenty minutes
    python -m tests.mutants one_more_a_day     one or several

Each mutant is a file in `tests/mutants/`: a line before and after, and the test files that must fail with it. They run
in a copy of the checkout, first without any mutant. "quick" means that a test of `make test` fails, "slow" that only
one of `make test-all` does. Exit code 1: a mutant survived.
"""

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.mutants.mutant import Mutant, copy, every

# As in the Makefile.
_QUICK, _SLOW = "not slow or smoke", "slow and not smoke"
_PASSED, _FAILED, _NOTHING_TO_RUN = 0, 1, 5


def main(names: Sequence[str]) -> int:
    """Try the mutants of these names, or all; return the exit code."""
    mutants = [mutant for mutant in every() if not names or mutant.name in names]
    with tempfile.TemporaryDirectory() as folder:
        place = copy(Path(folder))
        files = {file for mutant in mutants for file in mutant.tests}
        assert _run(place, files, f"({_QUICK}) or ({_SLOW})"), "the tests fail without any mutant"
        verdicts = Counter(_try(place, mutant) for mutant in mutants)
    _say(", ".join(f"{number} {verdict}" for verdict, number in verdicts.items()))
    return int("survived" in verdicts)


def _try(place: Path, mutant: Mutant) -> str:
    with mutant.applied(place):
        selections = (("quick", _QUICK), ("slow", _SLOW))
        verdict = next((name for name, marks in selections if not _run(place, mutant.tests, marks)), "survived")
    _say(f"{mutant.name:32} {mutant.path:40} {verdict}")
    return verdict


def _run(place: Path, files: Iterable[str], marks: str) -> bool:
    """Return whether these tests pass."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", marks, *sorted(files)]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    assert done.returncode in (_PASSED, _FAILED, _NOTHING_TO_RUN), done.stdout[-3000:]
    if done.returncode == _FAILED:
        _say(done.stdout.rpartition("short test summary info")[2].strip("= \n")[:200])
    return done.returncode != _FAILED


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="mutants; all if none is named")
    raise SystemExit(main(parser.parse_args().names))
