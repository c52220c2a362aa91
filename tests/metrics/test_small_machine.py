"""The metric and the worker on standby fit on a machine of 1 GiB, and the metric is punctual whatever files come."""

from pathlib import Path

import pytest

from deploy.local import sample
from tests.support import emulators
from tests.support.hostile import zoo
from tests.support.small_machine import PERIOD_SECONDS, Small, throw

pytestmark = pytest.mark.slow(quick="tests/deploy/test_docker.py")

# Those that take most memory to decode; `python -m tests.bench.standby` sends them all.
FILES = ("48_megapixels", "20_megabytes", "900_megapixels")


def test_hostile_files_neither_kill_nor_delay_the_metric(tmp_path: Path, weights: str, photo: bytes) -> None:
    files = [one for one in zoo(photo) if any(name in one.name for name in FILES)][:8]
    stack = Small(tmp_path, weights, hosts=("127.0.0.1",))
    with emulators.put_back(), stack.running():
        found = throw(stack, sample.suiting(weights), files)
    stack.memory.close()
    assert (found.unanswered, found.kills, len(found.peaks)) == (0, 0, 2)
    assert found.longest_gap < 3 * PERIOD_SECONDS
