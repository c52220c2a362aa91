"""The suite of `python -m tests.chaos` sees what goes wrong: one that saw nothing would always be green."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings

from deploy.local.processes import Child, Children
from deploy.local.stack import LocalStack
from tests.chaos.cells import BrokenError, judge
from tests.chaos.command import FOLDER
from tests.chaos.crowd import Crowd, Known, Tally
from tests.chaos.memory import Memory, working_group

_NOTHING_KNOWN = Known([], Counter())
_GROWS = """
held = []
while True:
    held.append(bytearray(b"x") * (1 << 20))
"""


@contextmanager
def _role(folder: Path, memory: Memory, code: str) -> Iterator[Child]:
    """Start a process as a role under a limit."""
    children = Children(folder)
    child = children.start("yolo5-1", memory.command("yolo5-1", [sys.executable, "-c", code]), {})
    memory.watch(child)
    yield child
    children.stop()
    memory.close()


@pytest.mark.parametrize("group", [lambda: None, working_group], ids=["watcher", "cgroup where one works"])
def test_exceeding_memory_limit_kills(tmp_path: Path, group: Callable[[], Path | None]) -> None:
    memory = Memory(limit_mb=100, group=group())
    with _role(tmp_path, memory, _GROWS) as child:
        assert child.wait(60) == -9
        assert memory.kills() == 1


@pytest.mark.parametrize(("good", "lost"), [(True, 1), (False, 0)])
def test_apology_for_good_photo_counts_as_lost(stack: LocalStack, good: bool, lost: int) -> None:
    crowd = Crowd(stack.telegram_url, people=1)
    crowd.send(b"junk", junk=True, good=good)
    assert crowd.wait(60)
    expected = Tally(photos=1, answers=1, lost=lost, doubled=0, excused=0, apologies=1)
    assert crowd.tally(_NOTHING_KNOWN) == expected


def test_apology_before_replay_is_no_answer(stack: LocalStack) -> None:
    crowd = Crowd(stack.telegram_url, people=1)
    crowd.replayed = True
    crowd.send(b"junk", junk=True)
    crowd.users[0].wait_for_reply(crowd.sent[0].message_id, 60)
    assert crowd.waiting() == 1
    assert crowd.tally(_NOTHING_KNOWN).lost == 1


def test_broken_part_is_named() -> None:
    assert judge("p95 1.0 s", others_wait=False) == "p95 1.0 s"
    with pytest.raises(BrokenError, match="others wait"):
        judge("p95 9.0 s", others_wait=True, a_site_grows=False)


@pytest.mark.slow
def test_cells_that_kill_and_hold_sites_are_played() -> None:
    """Sites come back by themselves in both."""
    matrix = FOLDER / "matrix.json"
    matrix.unlink(missing_ok=True)
    cells = ["kill polybot / during telegram: sendPhoto", "still polybot / 2 s, one while it sends"]
    command = [sys.executable, "-m", "tests.chaos", "--only", *cells]
    done = subprocess.run(command, cwd=settings.BASE_DIR, capture_output=True, text=True, check=False)
    assert matrix.exists(), done.stderr
    played = json.loads(matrix.read_text())["cells"]
    assert [f"{cell['group']} / {cell['fault']}" for cell in played] == cells
    assert [(cell["tally"]["photos"], cell["tally"]["lost"]) for cell in played] == [(3, 0), (3, 0)]
