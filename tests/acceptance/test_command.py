"""`acceptance` asks before it makes anything, and says in one line what it can't do."""

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from rich.console import Console

from deploy.acceptance.report import Measure, StepResult, StepScreen, StepState
from tests.support import acceptance, emulators, operating
from tests.support.cases import slow_after
from tests.support.provisioning import Terminal


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    slow_after(
        2,
        [
            (("--local", "--keep"), "--keep can't keep a local AWS: it ends with this command."),
            (("--only", "nosuch,burst"), "--only nosuch: the steps are provision, from-zero, burst,"),
            (("--parameter", "MaxWorkers"), "--parameter 'MaxWorkers' is not NAME=VALUE."),
            (("--photos", "0"), "'0' is not a whole number from 1 to 5,000."),
            (("--prefix", "Bad_Prefix"), "'Bad_Prefix' can't be the prefix of stacks"),
            (("--yes", "--parameter", "Nosuch=1"), "Nosuch"),
        ],
    ),
)
def test_wrong_options_are_named_before_anything_is_made(
    cloud: str, tmp_path: Path, weights: str, arguments: tuple[str, ...], complaint: str
) -> None:
    env = operating.environment(cloud, YOLO_WEIGHTS=weights)
    done = operating.manage("acceptance", "--report", str(tmp_path), *arguments, env=env)
    assert done.returncode
    assert complaint in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "report.json").exists()


def test_no_at_a_terminal_makes_nothing(prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    output = Terminal()
    with pytest.raises(CommandError, match=r"^Nothing was made\.$"):
        call_command("acceptance", "--prefix", prefix, "--report", str(tmp_path), stdout=output)
    assert output.getvalue().index(f"Account {emulators.account()}") < output.getvalue().index("costs about US$ 0.")
    acceptance.check_nothing_is_left(prefix)


def test_terminal_shows_current_act_of_step() -> None:
    output = io.StringIO()
    screen = StepScreen(Console(file=output, force_terminal=True, width=150))
    screen.begins("a burst of photos")
    screen.say("12 of 300 answered\nand more")
    screen.ends(
        StepResult("burst", "a burst of photos", StepState.PASSED, 61.2, [Measure("answered", 300, "of 300 photos")])
    )
    shown = output.getvalue()
    assert "12 of 300 answered" in shown
    assert "and more" not in shown
    assert "a burst of photos (61 s)" in shown
    assert "answered 300 of 300 photos" in shown


def test_help_fits_a_screen() -> None:
    done = operating.manage("acceptance", "--help", env=operating.environment("") | {"COLUMNS": "100"})
    assert len(done.stdout.splitlines()) <= 40
