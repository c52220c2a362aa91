"""`logs` reads CloudWatch Logs."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.core.management import CommandError

from botsite import aws, roles
from deploy.operate import logs
from deploy.operate.log_lines import WantedLines
from deploy.operate.logs import CloudLogs
from deploy.service import Service
from tests.support import emulators
from tests.support.provisioning import run

NOW = datetime.now(UTC).replace(microsecond=0)
SINCE = NOW - timedelta(minutes=10)


def line(event: str, at: datetime = NOW, level: str = "info", **fields: object) -> str:
    """Return a line as the roles write it."""
    return json.dumps({"time": at.isoformat().replace("+00:00", "Z"), "level": level, "event": event, **fields})


@pytest.fixture(scope="module")
def emulator() -> Iterator[None]:
    with emulators.ministack():
        yield


@pytest.fixture
def service(emulator: None) -> Service:
    """Return a service that has its log groups."""
    service = Service(f"logs-{uuid4().hex[:8]}")
    for role in roles.ROLES:
        aws.client("logs").create_log_group(logGroupName=role.log_group(service))
    return service


def put(service: Service, role: str, stream: str, *lines: tuple[datetime, str]) -> None:
    """Write lines as the container's log driver does."""
    group, logs = roles.named(role).log_group(service), aws.client("logs")
    found = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=stream)["logStreams"]
    if not found:
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    events = [{"timestamp": int(at.timestamp() * 1000), "message": text} for at, text in lines]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def test_lines_of_all_roles_come_by_time(service: Service) -> None:
    first, second, third = (NOW - timedelta(seconds=seconds) for seconds in (30, 20, 10))
    put(service, "polybot", "i-a1", (first, line("job_sent", first)), (third, line("answer_delivered", third)))
    put(service, "yolo5", "i-b2", (second, line("job_succeeded", second)), (NOW - timedelta(hours=1), line("long_ago")))
    logs = CloudLogs(service, WantedLines(roles.ROLES, SINCE))
    assert [(str(one.source), one.event) for one in logs.read()] == [
        ("polybot-i-a1", "job_sent"),
        ("yolo5-i-b2", "job_succeeded"),
        ("polybot-i-a1", "answer_delivered"),
    ]
    late = NOW - timedelta(seconds=15)
    put(service, "yolo5", "i-b2", (late, line("late", late)))
    assert [one.event for one in logs.read()] == ["late"]


def test_lines_are_chosen_by_photo_and_level(service: Service) -> None:
    put(
        service,
        "metricStreamer",
        "i-c3",
        (NOW, line("swept", level="warning", prediction_id="p1")),
        (NOW, line("swept")),
    )
    put(service, "metricStreamer", "i-c3", (NOW, line("failed", level="error")), (NOW, "Killed"))
    metrics = (roles.named("metrics"),)
    for wanted, count in (
        (WantedLines(metrics, SINCE), 4),
        (WantedLines(metrics, SINCE, "p1"), 1),
        (WantedLines(metrics, SINCE, "p"), 0),
        (WantedLines(metrics, SINCE, "", "warning"), 2),
        (WantedLines(metrics, SINCE, "p1", "error"), 0),
    ):
        assert len(list(CloudLogs(service, wanted).read())) == count


def test_cloudwatch_is_asked_for_no_more_than_is_wanted() -> None:
    """The emulator takes such patterns and filters nothing. See "Filter pattern syntax" in the CloudWatch guide."""
    assert logs.pattern(WantedLines(roles.ROLES, SINCE)) == ""
    assert logs.pattern(WantedLines(roles.ROLES, SINCE, "p1")) == '{ $.prediction_id = "p1" }'
    both = '{ ($.level = "error" || $.level = "critical") && $.prediction_id = "p1" }'
    assert logs.pattern(WantedLines(roles.ROLES, SINCE, "p1", "error")) == both
    assert logs.pattern(WantedLines(roles.ROLES, SINCE, events=("a", "b"))) == '{ ($.event = "a" || $.event = "b") }'


def test_missing_service_is_one_line(emulator: None) -> None:
    with pytest.raises(CommandError, match=r"^There is no service nosuch in us-east-1"):
        run("logs", "--prefix", "nosuch")


def test_service_of_prefix_has_its_own_groups() -> None:
    assert [role.log_group(Service("objdet")) for role in roles.ROLES] == [
        "/objdet/polybot",
        "/objdet/yolo5",
        "/objdet/metrics",
    ]
