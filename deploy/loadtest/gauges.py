"""Read how the service stands: the queue, the Auto Scaling group, its alarms, and what was published of them.

Each reading may fail without the others: what cannot be read is missing, and the text says why.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite import aws
from metrics import service
from metrics.service import MetricFailed

# The names of the contract; metrics/ publishes them.
METRICS = ("BacklogPerInstance", "BacklogWithoutCapacity")


@dataclass(frozen=True, slots=True)
class Reading:
    """All gauges at one moment. `points` are the values published since the last reading: (seconds since 1970, value)
    by metric."""

    numbers: Mapping[str, int]
    alarms: Mapping[str, str]
    points: Mapping[str, list[tuple[float, float]]]
    missing: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known better than AWS tells it, where AWS is emulated: the states of instances and of alarms."""

    numbers: Mapping[str, int]
    alarms: Mapping[str, str]


@dataclass
class Gauges:
    """The gauges of one run. `known` says what an emulator leaves out."""

    known: Callable[[], Known] | None = None
    # CloudWatch stamps whole seconds: the one that has begun counts. In seconds since 1970.
    since: float = field(default_factory=lambda: math.floor(time.time()) - 1)
    _latest: dict[str, float] = field(default_factory=dict)

    def read(self) -> Reading:
        """Return what can be read now."""
        missing: dict[str, str] = {}

        def attempt(name: str, read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
            try:
                return read()
            except (ClientError, BotoCoreError, MetricFailed) as error:
                missing[name] = str(error)
                return {}

        depth = attempt("queue", lambda: asdict(service.queue()))
        group = attempt("group", _group)
        alarms = attempt("alarms", _alarms)
        points = attempt("metric", self._points)
        if self.known and "group" not in missing:
            known = self.known()
            group |= known.numbers
            alarms = dict(known.alarms)
        return Reading(depth | group, alarms, points, missing)

    def _points(self) -> dict[str, list[tuple[float, float]]]:
        """Return what was published since the last reading."""
        found = {}
        for name, values in _published(min(self._latest.get(name, self.since) for name in METRICS)).items():
            newer = [(at, value) for at, value in values if at > self._latest.get(name, self.since)]
            self._latest[name] = max([self._latest.get(name, self.since), *(at for at, _ in newer)])
            found[name] = newer
        return found


def target() -> float:
    """Return the target of BacklogPerInstance: the deployed policy's, else the setting's."""
    try:
        policies = _policies()
    except (ClientError, BotoCoreError, MetricFailed):
        policies = []
    values = [policy.get("TargetTrackingConfiguration", {}).get("TargetValue") for policy in policies]
    return next((float(value) for value in values if value), settings.BACKLOG_TARGET)


def _group() -> dict[str, int]:
    group = service.group()
    return {name: getattr(group, name) for name in ("desired", "minimum", "maximum", "in_service", "pending")}


def _alarms() -> dict[str, str]:
    """Return the state of each alarm on the metrics: those that move the group, and those that miss a value."""
    client, dimensions = aws.client("cloudwatch"), _dimensions()
    answers = [
        client.describe_alarms_for_metric(Namespace=settings.METRIC_NAMESPACE, MetricName=name, Dimensions=dimensions)
        for name in METRICS
    ]
    found = {
        alarm["AlarmName"]: alarm["StateValue"]
        for answer in answers
        for alarm in answer["MetricAlarms"]
        # The emulator returns those of other groups too.
        if alarm.get("Dimensions") == dimensions
    }
    if not found:
        raise MetricFailed("METRIC_NAMESPACE", f"No alarm watches {' or '.join(METRICS)} of {_group_name()}.")
    return found


def _policies() -> list[dict[str, Any]]:
    answer = aws.client("autoscaling").describe_policies(AutoScalingGroupName=_group_name())
    return list(answer["ScalingPolicies"])


def _group_name() -> str:
    if not settings.ASG_NAME:
        raise MetricFailed("ASG_NAME", "ASG_NAME is empty: `manage.py stack_env` prints it.")
    return settings.ASG_NAME


def _dimensions() -> list[dict[str, str]]:
    return [{"Name": "AutoScalingGroupName", "Value": _group_name()}]


def _published(since: float) -> dict[str, list[tuple[float, float]]]:
    """Return the values of both metrics after `since`, in order: each has a second of its own (resolution 1 s)."""
    dimensions = _dimensions()
    queries = [
        {
            "Id": name.lower(),
            "MetricStat": {
                "Metric": {"Namespace": settings.METRIC_NAMESPACE, "MetricName": name, "Dimensions": dimensions},
                "Period": 1,
                "Stat": "Average",
            },
        }
        for name in METRICS
    ]
    answer = aws.client("cloudwatch").get_metric_data(
        MetricDataQueries=queries,
        StartTime=datetime.fromtimestamp(since, UTC),
        EndTime=datetime.now(UTC) + timedelta(seconds=1),
        ScanBy="TimestampAscending",
    )
    names = {name.lower(): name for name in METRICS}
    return {
        names[result["Id"]]: [
            (at.timestamp(), value) for at, value in zip(result["Timestamps"], result["Values"], strict=True)
        ]
        for result in answer["MetricDataResults"]
    }
