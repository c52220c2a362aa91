"""A run says what is left when it may not delete it, and keeps what it measured."""

import io
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from deploy import interrupts, stacks
from deploy.acceptance import session
from deploy.acceptance.account import Account
from deploy.acceptance.photos import Rehearsal
from deploy.acceptance.plan import AcceptanceOptions
from deploy.acceptance.report import AcceptanceReport, Measure, StepFailed, StepScreen
from deploy.acceptance.steps import STEPS, TEARDOWN, AcceptanceStep
from deploy.provision import Order
from deploy.service import Service
from metrics.health.findings import NotKnownHere
from tests.support import acceptance


def passes(run: Rehearsal) -> Iterator[Measure]:
    """Measure one thing."""
    yield Measure("speed", 12.5, "m/s")


def fails(run: Rehearsal) -> Iterator[Measure]:
    """Measure one thing, then fail."""
    yield Measure("speed", 0.0, "m/s", "it stood | still")
    raise StepFailed("it did not move")


def cannot_tell(run: Rehearsal) -> Iterator[Measure]:
    """Measure nothing."""
    yield Measure("colour", None, note="it is dark")
    raise NotKnownHere("it is dark here")


def is_interrupted(run: Rehearsal) -> Iterator[Measure]:
    """Measure one thing, and have Ctrl-C pressed."""
    yield Measure("speed", 3.0, "m/s")
    signal.raise_signal(signal.SIGINT)


def is_wrong(run: Rehearsal) -> Iterator[Measure]:
    """Raise what no step should."""
    raise AssertionError("a bug")
    yield


def step(do: Callable[[Rehearsal], Iterator[Measure]], *needs: str) -> AcceptanceStep:
    """Return a step that is named after what it does."""
    name = getattr(do, "__name__", "")
    return AcceptanceStep(name, name, do, needs)


def run(
    prefix: str, folder: Path, *steps: AcceptanceStep, last: AcceptanceStep = TEARDOWN, keep: bool = False
) -> AcceptanceReport:
    """Run the steps, and return the report."""
    options = AcceptanceOptions(prefix, folder, keep=keep)
    report = AcceptanceReport(folder, {"prefix": prefix}, [one.title for one in (*steps, last)])
    screen = StepScreen(Console(file=io.StringIO()))
    context = Rehearsal(options, Order(Service(prefix)), Account(options), screen.say)
    with interrupts.handled(signal.SIGINT, handler=signal.default_int_handler):
        session.Session(context, report, screen).go(steps, last)
    return report


def states(report: AcceptanceReport) -> list[str]:
    """Return the state of each step that has begun."""
    return [one.state for one in report.results]


def test_each_state_is_told_apart(prefix: str, tmp_path: Path) -> None:
    steps = (step(passes), step(fails), step(cannot_tell), step(passes, "fails"), step(passes, "passes"))
    report = run(prefix, tmp_path, *steps)
    assert states(report) == ["pass", "fail", "not known here", "skipped", "pass", "pass"]
    assert not report.good
    assert run(prefix, tmp_path / "2", step(passes), step(cannot_tell)).good


def test_markdown_has_numbers_with_units(prefix: str, tmp_path: Path) -> None:
    report = run(prefix, tmp_path, step(passes), step(fails), step(cannot_tell))
    rows = [line for line in report.markdown().splitlines() if line.startswith("| ")]
    assert rows[1:4] == [
        "| passes | pass | 0 s | speed 12.5 m/s |",
        r"| fails | fail | 0 s | it did not move<br>speed 0 m/s (it stood \| still) |",
        "| cannot_tell | not known here | 0 s | it is dark here<br>colour: not known here (it is dark) |",
    ]
    assert json.loads((tmp_path / "report.json").read_text())["steps"][0]["measures"] == [
        {"name": "speed", "value": 12.5, "unit": "m/s", "note": ""}
    ]


def test_second_ctrl_c_lists_leftovers(prefix: str, tmp_path: Path) -> None:
    stacks.provision(Service(prefix), parts=("network",))
    report = run(prefix, tmp_path, step(is_interrupted), step(passes), last=step(is_interrupted))
    assert (states(report), report.coming) == (["interrupted", "interrupted"], ["passes"])
    assert report.left == [
        f"stacks: {prefix}-network",
        "about US$ 0.10 an hour",
        f"delete it: python manage.py teardown --prefix {prefix} --yes",
    ]
    assert report.interrupted
    assert report.left == json.loads((tmp_path / "report.json").read_text())["left"]


def test_first_ctrl_c_deletes_everything(prefix: str, tmp_path: Path) -> None:
    stacks.provision(Service(prefix), parts=("network",))
    report = run(prefix, tmp_path, step(is_interrupted), step(passes))
    assert (states(report), report.left) == (["interrupted", "pass"], [])
    assert report.results[0].measures == [Measure("speed", 3.0, "m/s")]
    acceptance.check_nothing_is_left(prefix)


def test_bug_deletes_everything_too(prefix: str, tmp_path: Path) -> None:
    stacks.provision(Service(prefix), parts=("network",))
    with pytest.raises(AssertionError, match="a bug"):
        run(prefix, tmp_path, step(is_wrong))
    assert acceptance.states(tmp_path) == {"is_wrong": "fail", "teardown": "pass"}
    acceptance.check_nothing_is_left(prefix)


def test_kept_service_has_its_price_and_its_end(prefix: str, tmp_path: Path) -> None:
    stacks.provision(Service(prefix), parts=("network",))
    report = run(prefix, tmp_path, step(passes), keep=True)
    assert states(report) == ["pass"]
    assert report.left[0] == f"stacks: {prefix}-network"
    assert Service(prefix).find("network")


def test_chosen_steps_bring_their_requirements() -> None:
    options = AcceptanceOptions("any", Path(), only=frozenset({"again", "chart"}))
    assert [one.name for one in session.chosen(options)] == ["provision", "from-zero", "scale-in", "again", "chart"]
    assert session.chosen(AcceptanceOptions("any", Path())) == list(STEPS)
