"""A process's children end with it, even if it is killed."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.processes import runs, wait_until

ROOT = Path(__file__).resolve().parents[2]
# A thread starts a child, which starts a grandchild in its own session; then the thread ends.
PARENT = """
import subprocess, sys, threading
from deploy.local import lifeline

GRANDCHILD = "import time; time.sleep(600)"
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {GRANDCHILD!r}], start_new_session=True)"

def start():
    command = [sys.executable, "-c", CHILD]
    subprocess.Popen(command, env=lifeline.tied({}), stdout=subprocess.DEVNULL, start_new_session=True)

thread = threading.Thread(target=start)
thread.start()
thread.join()
print("started", flush=True)
sys.stdin.read()
"""


def _family(parent: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the keeper, the child and the grandchild, once all run."""

    def look() -> list[psutil.Process]:
        found = psutil.Process(parent.pid).children(recursive=True)
        return found if len(found) == 3 else []

    return wait_until(look)


@pytest.fixture
def parent() -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PARENT]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_grandchildren_of_killed_process_end(parent: subprocess.Popen[str]) -> None:
    family = _family(parent)
    parent.kill()
    parent.communicate()
    wait_until(lambda: not any(map(runs, family)))


def test_keeper_leaves_with_its_process_and_ends_what_is_left(parent: subprocess.Popen[str]) -> None:
    family = _family(parent)
    keepers = [one for one in family if one.ppid() == parent.pid and not one.environ()]
    assert len(keepers) == 1
    parent.communicate("end")
    assert not runs(keepers[0])
    wait_until(lambda: not any(map(runs, family)))


def test_child_outlives_its_starting_thread(parent: subprocess.Popen[str]) -> None:
    assert parent.stdout
    family = _family(parent)
    assert parent.stdout.readline() == "started\n"
    assert all(map(runs, family))
    parent.kill()
    parent.communicate()
