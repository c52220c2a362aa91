"""`logs` shows the roles' lines, from CloudWatch Logs and from the files of the local AWS."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from botsite import roles
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from deploy.operate import log_lines
from deploy.operate.log_lines import LogLine, Source, WantedLines
from deploy.operate.logs import FileLogs
from detection.record import queries
from tests.support import forked
from tests.support.processes import wait_until
from tests.support.provisioning import run

ROOT = Path(__file__).parents[2]
NOW = datetime.now(UTC).replace(microsecond=0)
YOLO5 = roles.named("yolo5")
SOURCE = Source(YOLO5, "i-0123456789abcdef0")
SINCE = NOW - timedelta(minutes=10)


def line(event: str, at: datetime = NOW, level: str = "info", **fields: object) -> str:
    """Return a line as the roles write it."""
    return json.dumps({"time": at.isoformat().replace("+00:00", "Z"), "level": level, "event": event, **fields})


def parse(text: str) -> LogLine:
    """Return the entry of a line."""
    found = log_lines.parse_line(text, SOURCE, NOW)
    assert found
    return found


@pytest.fixture
def folder(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the running service's lines, which this process finds as a command does."""
    monkeypatch.setattr(settings, "LOG_FOLDER", stack.env["LOG_FOLDER"])
    return Path(stack.env["LOG_FOLDER"])


def test_one_photo_is_followed_across_roles(stack: LocalStack, folder: Path, user: TelegramUser, photo: bytes) -> None:
    user.wait_for_reply(user.send_photo(photo))
    identity = queries.latest_of_chat(user.chat_id)[0]

    def told() -> list[str]:
        lines = run("logs", "--prediction", identity, "--json").splitlines()
        return [json.loads(one)["event"] for one in lines]

    wait_until(lambda: "answer_delivered" in told())
    events = told()
    assert events.index("job_sent") < events.index("job_succeeded") < events.index("answer_delivered")
    shown = run("logs", "yolo5", "--prediction", identity).splitlines()
    assert len(shown) == len([one for one in events if one.startswith("job_") and one != "job_sent"])
    assert f"prediction_id={identity}" in shown[0]


def test_nothing_found_is_said(stack: LocalStack, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("logs", "--prediction", "nosuch")
    assert "No such lines since" in capsys.readouterr().err
    with pytest.raises(CommandError, match="no service nosuch"):
        run("logs", "--prefix", "nosuch")


@contextmanager
def following(stack: LocalStack, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run `logs -f` as an operator does."""
    command = [sys.executable, "manage.py", "logs", "-f", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=stack.env, text=True, stdout=pipe, stderr=pipe) as process:
        yield process


def test_follow_shows_new_lines_until_ctrl_c(stack: LocalStack) -> None:
    with following(stack, "--level", "critical") as process:
        assert process.stdout
        path = Path(stack.env["LOG_FOLDER"]) / "yolo5-new.log"
        path.write_text(line("exploded", datetime.now(UTC), level="critical") + "\n")
        assert "exploded" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
        path.unlink()
    assert (process.returncode, output, errors) == (130, "", "")


def test_closed_reader_ends_follow(stack: LocalStack) -> None:
    with following(stack, "--since", "1d") as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 1


def test_half_a_line_waits_for_its_end(tmp_path: Path) -> None:
    path, whole = tmp_path / "yolo5-1.log", line("done")
    path.write_text(whole[:20])
    logs = FileLogs(tmp_path, WantedLines((YOLO5,), SINCE))
    assert list(logs.read()) == []
    with path.open("a") as file:
        file.write(whole[20:] + "\n")
    assert [one.event for one in logs.read()] == ["done"]
    assert FileLogs.poll_seconds < 1


def test_text_lines_are_understood() -> None:
    text = "2026-11-26T07:04:30.428Z [warning  ] job_failed           error='no \"photo\"' prediction_id=p1"
    found = parse(text)
    assert (found.level, found.event) == ("warning", "job_failed")
    assert dict(found.fields) == {"error": 'no "photo"', "prediction_id": "p1"}
    assert found.at == datetime(2026, 11, 26, 7, 4, 30, 428000, tzinfo=UTC)


def test_library_text_is_an_event_of_its_own() -> None:
    found = parse("2026-11-26T07:04:29.792Z [info     ] Connected to botsite.sqs:Transport://:**@localhost// [kombu]")
    assert found.event == "Connected to botsite.sqs:Transport://:**@localhost// [kombu]"


def test_event_is_one_line_whatever_it_holds() -> None:
    trace = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: no'
    found = parse(line("job_failed", exception=trace, name="\x1b[2J\nx", job_failed=1, LogGroup="/x", _aws={}))
    assert log_lines.values(found) == "exception=ValueError: no name=\\x1b[2J\\nx"
    assert [
        log_lines.parse_line(one, SOURCE, NOW) for one in ("  File x", "Traceback (most recent call last):", "")
    ] == [None] * 3


def test_repeated_metrics_and_own_probes_are_left_out() -> None:
    lines = [
        line("metrics_published", visible=0),
        line("metrics_published", visible=0),
        line("delivery_postponed", prediction_id="doctor"),
        line("metrics_published", visible=1),
        line("job_sent"),
        line("metrics_published", visible=1),
        line("metrics_published", visible=0),
    ]
    shown = list(log_lines.worth_reading(map(parse, lines)))
    assert [(one.event, one.fields.get("visible")) for one in shown] == [
        ("metrics_published", 0),
        ("metrics_published", 1),
        ("job_sent", None),
        ("metrics_published", 0),
    ]


def test_all_lines_are_shown_if_asked_for(
    stack: LocalStack, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "LOG_FOLDER", str(tmp_path))
    (tmp_path / "metrics.log").write_text(f"{line('metrics_published', visible=0)}\n" * 3)
    assert (run("logs").count("metrics_published"), run("logs", "--all").count("metrics_published")) == (1, 3)


def test_nothing_found_is_not_red(
    stack: LocalStack, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("logs", "--prediction", "nosuch", force_color=True)
    assert capsys.readouterr().err.startswith("No such lines since")


@pytest.mark.parametrize("text", ["{", "[]", '{"a"', "Killed", "\x00"])
def test_odd_line_is_shown_as_it_is(text: str) -> None:
    assert (parse(text).event, parse(text).level) == (text, "")


@pytest.mark.parametrize(("text", "ago"), [("90s", 90), ("10m", 600), ("2 h", 7200), ("1d", 86400)])
def test_time_is_a_span(text: str, ago: int) -> None:
    assert log_lines.since(text, NOW) == NOW - timedelta(seconds=ago)


def test_time_is_a_moment() -> None:
    assert log_lines.since(NOW.isoformat(), NOW) == NOW


@pytest.mark.parametrize("arguments", [["--since", "soon"], ["--prediction", '"}'], ["cook"], ["--level", "loud"]])
def test_wrong_argument_is_refused(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        run("logs", *arguments)


def test_help_fits_one_screen() -> None:
    commands = ("status", "logs")
    for command in commands:
        said = forked.manage([command, "--help"], ROOT, {"PATH": os.environ["PATH"], "DEMO_FOLDER": os.devnull})
        assert said.returncode == 0
        assert len(said.stdout.splitlines()) <= 24
