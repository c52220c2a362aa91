"""Show where a run of the tests spends its time, by file and phase, and which processes it starts.

python -m pytest -p tests.support.spent -n auto -m 'not slow or smoke'
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from xdist.workermanage import WorkerController

_FILES = 30
_PHASES = ("setup", "call", "teardown")
# What a command line contains, and what it is called here.
_KINDS = {"gunicorn": "site", "celery": "worker", "ministack": "emulated AWS", "manage.py": "manage.py",
          "telegram": "fake Telegram", "moto_server": "moto", "chromium": "browser", "pip": "pip"}  # fmt: skip

_seconds: defaultdict[str, list[float]] = defaultdict(lambda: [0.0] * len(_PHASES))
_started: Counter[str] = Counter()


def pytest_configure() -> None:
    """Count the processes that this one starts from now on."""
    sys.addaudithook(_count)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what a phase of a test took."""
    _seconds[report.nodeid.partition("::")[0]][_PHASES.index(report.when or "")] += report.duration


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: WorkerController) -> None:
    """Add what a process of xdist has started."""
    _started.update(getattr(node, "workeroutput", {}).get("started", {}))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that distributes the tests what this one has started."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["started"] = dict(_started)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the two tables."""
    terminalreporter.section("seconds: setup, call, teardown")
    for name, seconds in sorted(_seconds.items(), key=lambda each: -sum(each[1]))[:_FILES]:
        terminalreporter.write_line(_line(name, seconds))
    terminalreporter.write_line(_line(f"all {len(_seconds)} files", map(sum, zip(*_seconds.values(), strict=True))))
    terminalreporter.section("processes started")
    for kind, number in _started.most_common():
        terminalreporter.write_line(f"{kind:50}{number:8}")


def _line(name: str, seconds: Iterable[float]) -> str:
    return f"{name:50}" + "".join(f"{each:8.1f}" for each in seconds)


def _count(event: str, arguments: Sequence[Any]) -> None:
    if event == "subprocess.Popen":
        command = arguments[1] if isinstance(arguments[1], str) else " ".join(map(str, arguments[1]))
        _started[next((name for part, name in _KINDS.items() if part in command), Path(command.split()[0]).name)] += 1
