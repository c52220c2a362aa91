"""The comparison with other libraries counts what it says it counts; here it has one contestant."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .shootout.__main__ import table
from .shootout.bout import Bout
from .shootout.peers import PEERS
from .shootout.region import Region
from .shootout.trials import faults, killed, rate, visibility
from .support.worker import Aws

pytestmark = pytest.mark.slow


@pytest.fixture
def region(aws: Aws) -> Iterator[Region]:
    """Yield the emulator, farther away."""
    with Region(aws.url).running() as region:
        yield region


def bout(aws: Aws, region: Region, folder: Path, seconds: int = 60) -> Bout:
    """Return a bout of this library in this environment."""
    return Bout(PEERS[0], sys.executable, aws, region, folder, seconds)


def test_rate_counts_requests_and_memory(aws: Aws, region: Region, tmp_path: Path) -> None:
    """Deletions and receives share requests, so that a task costs less than two."""
    found = rate(bout(aws, region, tmp_path), 40, 0.05, "50 ms")
    requests = float(found["requests a job of 50 ms"])
    assert 0.2 <= requests < 2
    assert float(found["dollars a million jobs of 50 ms"]) == pytest.approx(requests * 0.4, abs=0.01)
    assert float(found["MB after jobs of 50 ms"]) > 10


def test_long_task_starts_once(aws: Aws, region: Region, tmp_path: Path) -> None:
    """The heartbeat keeps it hidden."""
    found = visibility(bout(aws, region, tmp_path, 4))
    assert found == {"starts of a job of three visibility timeouts": "1"}


def test_killed_worker_loses_nothing(aws: Aws, region: Region, tmp_path: Path) -> None:
    """What was in work runs again."""
    found = killed(bout(aws, region, tmp_path, 5), 60)
    assert found["lost of 60 with two SIGKILLs"] == "0"


def test_worker_survives_faults(aws: Aws, region: Region, tmp_path: Path) -> None:
    """A fault happens to receives only, and its end ends it."""
    found = faults(bout(aws, region, tmp_path, 5), ("500", "no JSON", "reset", "refused"))
    assert found == {"receive faults survived": "4 of 4"}


def test_contestants_without_a_figure_have_a_dash() -> None:
    """Each figure is a row, each contestant a column."""
    shown = table({"a": {"x": "1"}, "b": {"x": "2", "y": "3"}})
    assert shown.splitlines() == ["|  | a | b |", "| --- | --- | --- |", "| x | 1 | 2 |", "| y | - | 3 |"]
