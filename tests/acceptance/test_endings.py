"""However a run ends, it deletes what it made, or says what is left; a failed step hides no other."""

import json
import signal
from pathlib import Path

import pytest

from botsite import aws
from tests.support import acceptance, operating
from tests.support.processes import left_of


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
@pytest.mark.slow
def test_interrupted_burst_is_torn_down(
    cloud: str, prefix: str, tmp_path: Path, weights: str, number: signal.Signals
) -> None:
    # Without a bot, and so many that nobody can have answered all of them.
    more = ("--prefix", prefix, "--no-bot", "--photos", "2000", "--json")
    with acceptance.running(cloud, tmp_path, weights, *more) as process:
        acceptance.wait_for(tmp_path, "burst", "running")
        process.send_signal(number)
        output, errors = process.communicate()
    assert process.returncode == 130, errors
    found = {"provision": "pass", "from-zero": "pass", "burst": "interrupted", "teardown": "pass"}
    assert acceptance.states(tmp_path) == found
    assert acceptance.measured(tmp_path, "from-zero")["answered"] == 1
    assert acceptance.report(tmp_path)["not_begun"][0] == "memory of a busy worker"
    if number is signal.SIGINT:
        assert json.loads(output) == acceptance.report(tmp_path)
    acceptance.check_nothing_is_left(prefix)
    assert left_of(tmp_path) == []


@pytest.mark.slow
def test_failed_step_hides_no_later_one(cloud: str, prefix: str, tmp_path: Path, weights: str) -> None:
    only = ("--only", "from-zero,doctor,logs")
    with acceptance.running(cloud, tmp_path, weights, "--prefix", prefix, *only) as process:
        acceptance.wait_for(tmp_path, "provision", "pass")
        aws.client("cloudwatch").delete_alarms(AlarmNames=[f"{prefix}-jobs-dead"])
        output, errors = process.communicate()
    assert process.returncode == 1, output + errors
    assert acceptance.states(tmp_path) == {
        "provision": "pass",
        "from-zero": "pass",
        "doctor": "fail",
        "logs": "pass",
        "teardown": "pass",
    }
    assert f"alarms: missing: {prefix}-jobs-dead" in (tmp_path / "report.md").read_text()
    assert acceptance.measured(tmp_path, "doctor")["failed"] == 1
    acceptance.check_nothing_is_left(prefix)


def test_nothing_begins_without_agreement(cloud: str, prefix: str, tmp_path: Path, weights: str) -> None:
    env = operating.environment(cloud, YOLO_WEIGHTS=weights)
    done = operating.manage("acceptance", "--prefix", prefix, "--report", str(tmp_path), env=env)
    assert (done.returncode, "costs about US$ " in done.stdout) == (1, True)
    assert done.stderr == (
        "CommandError: Nothing was made: there is no terminal to ask on. Add --yes to begin without asking.\n"
    )
    acceptance.check_nothing_is_left(prefix)
