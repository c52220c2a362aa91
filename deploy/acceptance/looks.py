"""The steps that look at the running service as an operator does, and at what only AWS can show."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from botsite import aws, counters, roles
from deploy.acceptance.photos import Rehearsal
from deploy.acceptance.report import Measure, StepFailed
from deploy.doctor import checks
from deploy.operate.cost import estimate
from deploy.operate.log_lines import WantedLines
from deploy.operate.logs import roles_logs
from deploy.service import Service
from metrics import cloudwatch, service
from metrics.health.findings import Finding, Health, NotKnownHere
from metrics.service import MetricFailed

_FREE = re.compile(r"^(?P<what>Mem|Swap):\s+(?P<total>\d+)\s+(?P<used>\d+)", re.MULTILINE)
# CloudWatch rounds StartTime down to the minute, and keeps points by the second for three hours.
_HOURS = timedelta(hours=3)
_MARGINS = (timedelta(minutes=2), timedelta(seconds=30), timedelta(0))
_EVENTS_SECONDS = 5 * 60
# Of the doctor: its machine has just done everything else.
_PATIENCE_SECONDS = 60.0


def memory(run: Rehearsal) -> Iterator[Measure]:
    """Ask a worker's machine for its memory."""
    for what, total, used in _FREE.findall(run.place.memory()):
        yield Measure("memory in use" if what == "Mem" else "swap in use", float(used), "MiB", f"of {total} MiB")


def chart(run: Rehearsal) -> Iterator[Measure]:
    """Ask for the points of three hours as the ops page does, and with less and less margin."""
    try:
        drawn = service.tracked().points
    except MetricFailed as error:
        raise StepFailed(str(error)) from error
    yield Measure("points in the chart", len(drawn), "points")
    if not drawn:
        raise StepFailed("the chart is empty")
    metrics, now = list(service.metrics().values())[:1], datetime.now(UTC)
    for margin in _MARGINS:
        name = f"points since 3 h ago less {margin.total_seconds():.0f} s"
        if aws.emulated():
            yield Measure(name, None, note="the local AWS keeps all points forever")
        else:
            [points] = cloudwatch.points(metrics, now - _HOURS + margin)
            yield Measure(name, len(points), "points")


def events(run: Rehearsal) -> Iterator[Measure]:
    """Count the photos as CloudWatch counts them, from what the workers log."""
    if aws.emulated():
        raise NotKnownHere("the local AWS takes no metrics from log lines")
    counted, waited = 0.0, 0
    while counted < run.answered and waited < _EVENTS_SECONDS:
        counted = _counted(run)
        aws.pause(15)
        waited += 15
    yield Measure("job_succeeded", counted, "times", f"{run.answered} photos were answered")
    if not counted:
        raise StepFailed("CloudWatch counts no events: does the log driver send awslogs-format=json/emf?")


def _counted(run: Rehearsal) -> float:
    group = roles.YOLO5.log_group(run.service)
    metric = {"Namespace": counters.NAMESPACE, "MetricName": "job_succeeded"}
    stat = {"Metric": {**metric, "Dimensions": [{"Name": "LogGroup", "Value": group}]}, "Period": 60, "Stat": "Sum"}
    answer = aws.client("cloudwatch").get_metric_data(
        MetricDataQueries=[{"Id": "m", "MetricStat": stat}],
        StartTime=run.started_at,
        EndTime=datetime.now(UTC) + timedelta(minutes=1),
    )
    return sum(answer["MetricDataResults"][0]["Values"])


def doctor(run: Rehearsal) -> Iterator[Measure]:
    """Run every check."""
    # Without a bot nobody has given Telegram a webhook.
    names = [name for name in checks.CHECKS if run.options.bot or name not in ("token", "webhook")]
    found = _checked(run.service, names)
    for state, count in Counter(one.state for one in found).items():
        which = [one.name for one in found if one.state is state]
        yield Measure(state, count, "checks", "" if state is Health.OK else ", ".join(which))
    if failed := [f"{one.name}: {one.seen}" for one in found if one.state is Health.FAILED]:
        raise StepFailed("; ".join(failed))


def _checked(service: Service, names: Sequence[str]) -> Collection[Finding[Any]]:
    """Run the checks, and once more those that failed: asked all at once, AWS may have been slow to answer."""
    found = {one.name: one for one in checks.run(service, names, timeout_seconds=_PATIENCE_SECONDS)}
    failed = [name for name, one in found.items() if one.state is Health.FAILED]
    return (found | {one.name: one for one in checks.run(service, failed, timeout_seconds=_PATIENCE_SECONDS)}).values()


def logs(run: Rehearsal) -> Iterator[Measure]:
    """Read what every role has logged since the run began."""
    reader = roles_logs(run.service, WantedLines(roles.ROLES, run.started_at))
    lines, errors = Counter[str](), Counter[str]()
    for entry in reader.read():
        lines[entry.source.role.name] += 1
        errors[entry.source.role.name] += entry.level in ("error", "critical")
    for role in roles.ROLES:
        yield Measure(f"lines of {role.name}", lines[role.name], "lines", f"{errors[role.name]} errors")
    if silent := [role.name for role in roles.ROLES if not lines[role.name]]:
        raise StepFailed(f"no line of {', '.join(silent)}")


def cost(run: Rehearsal) -> Iterator[Measure]:
    """Estimate what the run has cost so far, by the machine-hours that the groups' activities show."""
    found = estimate(run.service, datetime.now(UTC))
    yield Measure("cost so far", found.dollars, "US$", "list prices, bakes not included")
