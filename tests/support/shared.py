"""Servers of a whole test run: the process that first needs one starts it, and ends it after the others have left.

Processes that use one hold a lock together; whoever started one ends it holding that lock alone.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from itertools import count
from pathlib import Path

# xdist gives the processes of a run one id.
_FOLDER = Path(tempfile.gettempdir()) / f"tests-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}"
_accounts = count(1)
_use = ExitStack()
_servers = ExitStack()
_mine: list[str] = []


def address(name: str, running: Callable[[], AbstractContextManager[str]]) -> str:
    """Return the address of the run's server of this name, which `running` starts if nobody has."""
    _join()
    file = _FOLDER / f"{name}.address"
    with _locked(name, fcntl.LOCK_EX):
        if not file.exists():
            file.write_text(_servers.enter_context(running()))
            _servers.callback(file.unlink)
            _mine.append(name)
        return file.read_text()


@cache
def _join() -> None:
    _FOLDER.mkdir(exist_ok=True)
    _use.enter_context(_locked("users", fcntl.LOCK_SH))


def leave() -> None:
    """Use no server any more. Whoever started one waits for the others, and ends it."""
    _use.close()
    if _mine:
        with _locked("users", fcntl.LOCK_EX):
            _servers.close()
            _mine.clear()
    if _FOLDER.exists() and not list(_FOLDER.glob("*.address")):
        shutil.rmtree(_FOLDER, ignore_errors=True)


def account() -> str:
    """Return the id of an AWS account that nobody else in the run has."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return f"{process + 1:04}{next(_accounts):08}"


@contextmanager
def _locked(name: str, kind: int) -> Iterator[None]:
    with (_FOLDER / f"{name}.lock").open("a") as file:
        fcntl.flock(file, kind)
        yield
