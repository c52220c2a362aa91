"""Read the state of the service: the queue, the Auto Scaling group, its alarms, and the published metrics.

One failed reading does not affect the others: what cannot be read is missing, and a text says why.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from metrics import cloudwatch, service
from metrics.backlog import METRICS
from metrics.service import MetricFailed


@dataclass(frozen=True, slots=True)
class Reading:
    """All gauges at one moment.

    `points` are the values of each metric published since the last reading: (seconds since 1970, value).
    """

    numbers: Mapping[str, int]
    alarms: Mapping[str, str]
    points: Mapping[str, list[tuple[float, float]]]
    missing: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Known:
    """States of instances and alarms from a better source than an emulated AWS."""

    numbers: Mapping[str, int]
    alarms: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """The service at one moment, `seconds` after the start. None could not be read: `missing` says why.

    `leaving` are instances that finish their work before they end; AWS does not count them.
    """

    seconds: float
    sent: int
    taken: int
    answered: int
    visible: int | None = None
    in_flight: int | None = None
    desired: int | None = None
    in_service: int | None = None
    pending: int | None = None
    leaving: int | None = None
    alarms: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def backlog(self) -> int | None:
        """Return how many jobs are waiting or in progress."""
        return None if self.visible is None or self.in_flight is None else self.visible + self.in_flight

    @property
    def instances(self) -> int | None:
        """Return how many machines are desired or present, whichever is more."""
        if self.desired is None or self.in_service is None:
            return None
        return max(self.desired, self.in_service + (self.pending or 0) + (self.leaving or 0))


@dataclass(frozen=True, slots=True)
class Point:
    """A value that the metricStreamer published, `seconds` after the start."""

    seconds: float
    name: str
    value: float


@dataclass
class Gauges:
    """The gauges of one run. `known` supplies what an emulator leaves out."""

    known: Callable[[], Known] | None = None
    # CloudWatch stamps whole seconds, so the current one counts. In seconds since 1970.
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
        latest = {name: self._latest.get(name, self.since) for name in METRICS}
        found = {
            name: [(at, value) for at, value in values if at > latest[name]]
            for name, values in _published(min(latest.values())).items()
        }
        self._latest |= {name: max(values)[0] for name, values in found.items() if values}
        return found


def target() -> float:
    """Return the target of BacklogPerInstance: the deployed policy's, else the setting's."""
    try:
        return service.tracked().target
    except MetricFailed:
        return service.target()


def _group() -> dict[str, int]:
    group = service.group()
    return {name: getattr(group, name) for name in ("desired", "minimum", "maximum", "in_service", "pending")}


def _alarms() -> dict[str, str]:
    """Return the state of each alarm on the metrics: those that scale the group, and those for missing values."""
    metrics = service.metrics()
    watched = {(metric.namespace, metric.name, metric.dimensions) for metric in metrics.values()}
    found = {
        alarm.name: alarm.state
        for alarm in cloudwatch.alarms()
        if (alarm.metric.namespace, alarm.metric.name, alarm.metric.dimensions) in watched
    }
    if not found:
        raise MetricFailed("METRIC_NAMESPACE", f"No alarm watches {' or '.join(metrics)} of {settings.ASG_NAME}.")
    return found


def _published(since: float) -> dict[str, list[tuple[float, float]]]:
    """Return the values of each metric after `since`, oldest first, at a resolution of 1 s."""
    metrics = service.metrics()
    series = cloudwatch.points(list(metrics.values()), datetime.fromtimestamp(since, UTC))
    return {name: [(point.at, point.value) for point in points] for name, points in zip(metrics, series, strict=True)}
