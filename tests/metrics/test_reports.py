"""Each machine reports what it does, and the dashboard says it, with age, version and log."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import structlog
from django.conf import settings

from botsite import release
from botsite.staff.dashboard import machines, page
from botsite.staff.dashboard.ranges import DEFAULT
from botsite.staff.dashboard.sources import Snapshot
from botsite.staff.dashboard.tiles import Tile
from deploy.local.processes import Child
from deploy.local.stack import LocalStack, script
from detection.record import times
from detection.work import reports
from detection.work.reports import Report, Reporter, State
from metrics.cloudwatch import Group, Instance, LaunchTemplate
from metrics.health.findings import Finding, known, unknown
from tests.support.faulty import FaultySite, failing, through
from tests.support.jobs_queue import Queue
from tests.support.leaving_machine import Machine
from tests.support.processes import wait_until

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
STATE = "/latest/meta-data/autoscaling/target-lifecycle-state"
_names = count(1)


def report(seconds_ago: float = 5, state: State = State.READY, busy: int = 0, **given: str) -> Report:
    """Return what a machine said that has run for two hours."""
    at = NOW - timedelta(seconds=seconds_ago)
    return Report(at, NOW - timedelta(hours=2), state, busy, given.get("version", "v1"), given.get("model", ""))


def instance(name: str, state: str = "InService", healthy: bool = True) -> Instance:
    return Instance(name, "us-east-1a", state, healthy, LaunchTemplate())


def group(*instances: Instance, desired: int | None = None, suspended: tuple[str, ...] = ()) -> Group:
    wanted = len(instances) if desired is None else desired
    return Group("objdet-yolo5", wanted, 0, 4, instances, LaunchTemplate(), "EC2", suspended)


def seen(groups: dict[str, Group], found: dict[str, Report] | None = None) -> Snapshot:
    """Return a state of which nothing but the machines is known."""
    unread: Finding[Any] = unknown("not read")
    names = ("queue", "waiting", "dead", "paused", "scheduled", "tracked", "alarms", "history", "photos")
    others = dict.fromkeys(names, unread) | {"groups": known(groups), "reports": known(found or {})}
    return Snapshot(NOW.timestamp(), DEFAULT, **others)


def tiles(state: Snapshot) -> dict[str, Tile]:
    return {tile.name: tile for section in page.sections(state) for tile in section.tiles}


@pytest.mark.parametrize(
    ("role", "state", "said", "expected"),
    [
        ("yolo5", "InService", report(), "idle"),
        ("yolo5", "InService", report(busy=1), "working on 1 photo"),
        ("yolo5", "InService", report(busy=3), "working on 3 photos"),
        ("yolo5", "InService", report(state=State.STARTING), "starting"),
        ("yolo5", "InService", report(state=State.LEAVING), "leaving"),
        ("yolo5", "InService", report(seconds_ago=200), "silent for 3 min 20 s"),
        ("yolo5", "InService", None, "in service, no report yet"),
        ("yolo5", "Pending:Wait", None, "starting"),
        ("yolo5", "Terminating:Wait", report(busy=1), "leaving"),
        ("polybot", "InService", report(), "takes photos, sends answers"),
        ("metricStreamer", "InService", report(), "publishes the metric, repairs"),
    ],
)
def test_activity_comes_from_group_and_process(role: str, state: str, said: Report | None, expected: str) -> None:
    assert machines.does(role, instance("i-1", state), said, NOW.timestamp()) == expected


def test_machine_has_age_version_and_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "LOG_GROUPS", ["/objdet/polybot", "/objdet/yolo5"])
    monkeypatch.setattr(settings, "AWS_REGION", "eu-west-1")
    [row] = machines.list_machines(seen({"yolo5": group(instance("i-1", healthy=False))}, {"i-1": report()})).rows
    assert [cell.text for cell in row.cells] == [
        "yolo5",
        "i-1",
        "us-east-1a",
        "idle, unhealthy",
        "2 h 0 min",
        "v1",
        "log",
    ]
    assert row.cells[-1].link == (
        "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1"
        "#logsV2:log-groups/log-group/$252Fobjdet$252Fyolo5/log-events/i-1"
    )


def test_machines_in_service_are_not_said_to_work() -> None:
    found = group(*map(instance, ("a", "b", "c", "d")), instance("e", "Pending"))
    said = {"a": report(busy=2), "b": report(), "c": report(state=State.STARTING)}
    tile = tiles(seen({"yolo5": found}, said))["Workers in service"]
    assert (tile.value, tile.bad) == ("4", False)
    assert tile.note == "1 working, 1 idle, 1 starting, 1 no report yet; 1 more starting"


def test_silent_machine_needs_attention() -> None:
    found = tiles(seen({"yolo5": group(instance("a"))}, {"a": report(seconds_ago=500)}))
    assert (found["Workers in service"].bad, found["Workers in service"].note) == (True, "1 silent")


def test_running_versions_are_told_apart() -> None:
    groups = {"yolo5": group(instance("a"), instance("b"))}
    one = tiles(seen(groups, {"a": report(), "b": report()}))["Code"]
    assert (one.value, one.note) == ("v1", "on all 2 machines")
    two = tiles(seen(groups, {"a": report(), "b": report(version="v2", model="yolo11n")}))
    assert (two["Code"].value, two["Code"].note) == ("2 versions", "v1 on 1, v2 on 1")
    assert (two["Model"].value, two["Model"].note) == ("yolo11n", "loaded by the workers")


def test_unread_reports_are_unknown_with_their_reason() -> None:
    state = replace(seen({"yolo5": group(instance("a"))}), reports=unknown("access denied"))
    code = tiles(state)["Code"]
    assert (code.value, code.note, code.unknown) == ("unknown", "access denied", True)
    assert [row.cells[3].text for row in machines.list_machines(state).rows] == ["in service, no report yet"]


def test_missing_group_and_suspended_scaling_need_attention() -> None:
    found = tiles(seen({"yolo5": group(suspended=("Launch",))}))
    assert found["Workers wanted"].note == "the group may not Launch: resume that"
    assert found["Sites"].note == "the group is gone: run `manage.py provision`"
    assert found["Workers wanted"].bad
    assert found["Sites"].bad


def test_report_is_read_as_it_was_written(stack: LocalStack) -> None:
    said = Report(times.read("2026-11-26T12:00:00.123Z"), NOW, State.LEAVING, 3, "v1", "shapes")
    reports.write("i-written", said)
    assert reports.read(["i-written", "i-unknown"]) == {"i-written": said}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Return the metadata of the machine that this process runs on."""
    machine = Machine()
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.url)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    yield machine
    machine.close()


@pytest.mark.slow
def test_worker_reports_from_start_to_end(stack: LocalStack, machine: Machine, tmp_path: Path) -> None:
    machine.answers[STATE] = "InService"
    identity = machine.answers["/latest/meta-data/instance-id"] = f"i-reports{next(_names)}"
    worker = _worker(stack, machine, tmp_path)
    try:
        found = wait_until(lambda: _said(identity, State.READY))
        assert found
        assert (found.busy, found.version, found.model) == (0, release.text(), Path(settings.YOLO_WEIGHTS).name)
        worker.terminate()
        worker.wait()
    finally:
        worker.kill()


def test_change_is_reported_soon(stack: LocalStack, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = machine.answers["/latest/meta-data/instance-id"] = f"i-reports{next(_names)}"
    monkeypatch.setattr(reports, "CHANGED_SECONDS", 0.0)
    reporter = Reporter(lambda: 2)
    reporter.start()
    wait_until(lambda: _said(identity, State.STARTING))
    reporter.state = State.LEAVING
    found = wait_until(lambda: _said(identity, State.LEAVING))
    reporter.stop()
    assert found
    assert found.busy == 2


@pytest.mark.slow
def test_outage_is_logged_once_and_reports_go_on(
    site: FaultySite, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = machine.answers["/latest/meta-data/instance-id"] = f"i-reports{next(_names)}"
    monkeypatch.setattr(reports, "CHANGED_SECONDS", 0.0)
    site.break_(failing("dynamodb", "UpdateItem", "access denied"))
    reporter = Reporter()
    with through(site), structlog.testing.capture_logs() as logged:
        reporter.start()
        before = site.requests("dynamodb")
        wait_until(lambda: site.requests("dynamodb") >= before + 2)
        site.repair()
        wait_until(lambda: _said(identity, State.STARTING))
        reporter.stop()
    assert [one["event"] for one in logged] == ["report_failed"]


def test_nothing_is_reported_outside_ec2(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    reporter = Reporter()
    reporter.start()
    reporter.join()
    assert not reporter.is_alive()


def _worker(stack: LocalStack, machine: Machine, folder: Path) -> Child:
    name = f"reports-{next(_names)}"
    command = [script("celery"), "-A", "botsite", "worker", "-Q", "jobs", "-n", name]
    ours = {"JOBS_QUEUE_URL": Queue().url, "LIVENESS_FILE": str(folder / name), "ASG_NAME": "objdet-yolo5"}
    there = {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": machine.url}
    return stack.children.start(name, command, stack.env | ours | there)


def _said(identity: str, state: State) -> Report | None:
    found = reports.read([identity]).get(identity)
    return found if found and found.state is state else None


def test_worker_on_standby_has_a_line_and_is_expected_to_answer() -> None:
    state = seen({"yolo5": group()}, {"standby": report(busy=2, model="yolo11n")})
    [row] = machines.list_machines(state).rows
    assert [cell.text for cell in row.cells[:4]] == ["yolo5, on standby", "the metric's", "–", "working on 2 photos"]
    gone = seen({"yolo5": group()}, {"standby": report(seconds_ago=151)})
    assert machines.list_machines(gone).rows == ()
