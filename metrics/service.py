"""The queue, the group and the metrics that this process's settings name; each failure names the setting behind it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite import aws, roles
from metrics import cloudwatch
from metrics.backlog import BACKLOG, METRICS, TARGET_AT_MOST, WITHOUT_CAPACITY, Depth, Values, acceptable, positive
from metrics.cloudwatch import Alarm, Group, Metric, ScheduledAction, TrackingPolicy
from metrics.evaluation import Point

HOURS = 3
# CloudWatch keeps points by the second for three hours, by its own clock. It rounds the start down to the minute, and
# returns nothing at all for a start beyond that.
_SPAN = timedelta(hours=HOURS) - timedelta(minutes=2)
# EC2 Auto Scaling publishes these of each group, by the minute and free of charge (MetricsCollection in the templates).
GROUP_NAMESPACE, GROUP_DESIRED, GROUP_IN_SERVICE = (
    "AWS/AutoScaling",
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
)
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "NotAuthorized"}


class MetricFailed(Exception):
    """Something could not be read or published. `setting` names what to look at first."""

    def __init__(self, setting: str, text: str) -> None:
        super().__init__(text)
        self.setting = setting


@dataclass(frozen=True, slots=True)
class Tracked:
    """BacklogPerInstance of the last HOURS, oldest first, `at` in epoch seconds; and the target it is held against.

    `unserved` is BacklogWithoutCapacity of the same time. A machine takes `boot_seconds` from its launch to its first
    photo, and the metrics come every `period_seconds`.
    """

    points: tuple[Point, ...]
    target: float
    unserved: tuple[Point, ...]
    boot_seconds: float
    period_seconds: float


@dataclass(frozen=True, slots=True)
class History:
    """How the workers' group did, by periods, oldest first: the highest backlog per instance, and its machines."""

    backlog: tuple[Point, ...]
    desired: tuple[Point, ...]
    in_service: tuple[Point, ...]


def queue() -> Depth:
    """Return the jobs queue; raise MetricFailed."""
    with _naming("JOBS_QUEUE_URL") as url:
        return cloudwatch.queue(url)


def target() -> float:
    """Return the target of BacklogPerInstance, in photos; raise BadSetting if the settings make none."""
    if settings.BACKLOG_TARGET is not None:
        positive("BACKLOG_TARGET", settings.BACKLOG_TARGET, TARGET_AT_MOST)
        return settings.BACKLOG_TARGET
    return acceptable(settings.LATENCY_GOAL_SECONDS, settings.PHOTOS_PER_SECOND)


def group() -> Group:
    """Return the workers' group; raise MetricFailed."""
    with _naming("ASG_NAME") as name:
        found = cloudwatch.groups(name).get(name)
    return found or _missing(name)


def fleet() -> dict[str, Group]:
    """Return the groups of all roles by role, those that exist; raise MetricFailed, as without the workers' group."""
    names = group_names()
    with _naming("ASG_NAME") as name:
        found = cloudwatch.groups(*names.values())
    if name not in found:
        _missing(name)
    return {role: found[each] for role, each in names.items() if each in found}


def group_names() -> dict[str, str]:
    """Return the names of the groups of all roles by role; raise MetricFailed."""
    with _naming("ASG_NAME") as name:
        return {role.name: role.group(_prefix(name)) for role in roles.ROLES} | {roles.YOLO5.name: name}


def scheduled() -> list[ScheduledAction]:
    """Return what is scheduled for the workers' group, such as the end of a hold; raise MetricFailed."""
    with _naming("ASG_NAME") as name:
        return cloudwatch.scheduled(name)


def alarms() -> list[Alarm]:
    """Return the alarms of the service, with those that EC2 Auto Scaling made for it; raise MetricFailed."""
    with _naming("ASG_NAME") as name:
        return cloudwatch.alarms_of(_prefix(name), name)


def history(seconds: int, period: int) -> History:
    """Return the last `seconds`, of which each period starts at a multiple of itself; raise MetricFailed."""
    with _naming("ASG_NAME") as name:
        since = datetime.fromtimestamp((time.time() - seconds) // period * period, UTC)
        # A short peak is what somebody looks for.
        backlog = replace(_deployed(name)[1], statistic="Maximum")
        dimensions = (("AutoScalingGroupName", name),)
        of_group = [Metric(GROUP_NAMESPACE, each, dimensions) for each in (GROUP_DESIRED, GROUP_IN_SERVICE)]
        return History(*cloudwatch.points([backlog, *of_group], since, period))


def _missing(name: str) -> NoReturn:
    text = f"The Auto Scaling group {name!r} doesn't exist in {aws.place()}: check ASG_NAME and AWS_REGION."
    raise MetricFailed("ASG_NAME", text)


def _prefix(workers: str) -> str:
    return workers.removesuffix(roles.YOLO5.group(""))


def seconds_since_photo(read: Callable[[], float | None]) -> float:
    """Return how long ago the newest photo came, as `read` finds it in the table; raise MetricFailed."""
    with _naming("PREDICTIONS_TABLE") as table:
        seconds = read()
    if seconds is None:
        raise MetricFailed("PREDICTIONS_TABLE", f"The newest item of {table} has no time that can be read.")
    return seconds


def tracked() -> Tracked:
    """Return what target tracking looks at; raise MetricFailed."""
    with _naming("ASG_NAME") as name:
        return _tracked(*_deployed(name))


def _deployed(name: str) -> tuple[TrackingPolicy, Metric]:
    """Return the policy on the backlog: as deployed, it alone knows which metric and target count."""
    for policy in cloudwatch.policies(name):
        if isinstance(policy, TrackingPolicy) and policy.metric and policy.metric.name == BACKLOG:
            return policy, policy.metric
    raise MetricFailed("ASG_NAME", f"{name} has no target tracking policy on our metric: provision the workers again.")


def _tracked(policy: TrackingPolicy, metric: Metric) -> Tracked:
    both = [metric, replace(metric, name=WITHOUT_CAPACITY)]
    points, unserved = cloudwatch.points(both, datetime.now(UTC) - _SPAN)
    # The setting is below the policy's period only where time is scaled, and boots with it.
    period = min(settings.METRIC_PERIOD_SECONDS, policy.period)
    return Tracked(points, policy.target, unserved, policy.warmup * period / policy.period, period)


def metrics() -> dict[str, Metric]:
    """Return the published metrics by name, exactly as the policies name them; raise MetricFailed."""
    with _naming("METRIC_NAMESPACE") as namespace, _naming("ASG_NAME") as group_name:
        # With other dimensions each would be another metric.
        dimensions = (("AutoScalingGroupName", group_name),)
        return {name: Metric(namespace, name, dimensions) for name in METRICS}


def publish(values: Values) -> None:
    """Publish the metrics; raise MetricFailed. CloudWatch stamps them: its clock counts, not this machine's."""
    numbers = values.by_name()
    # Kept by the second, so that alarms may have periods below a minute.
    data = [
        {
            "MetricName": metric.name,
            "Value": numbers[name],
            "Dimensions": [{"Name": key, "Value": value} for key, value in metric.dimensions],
            "Unit": "None",
            "StorageResolution": 1,
        }
        for name, metric in metrics().items()
    ]
    with _naming("METRIC_NAMESPACE") as namespace:
        aws.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)


@contextmanager
def _naming(setting: str) -> Iterator[str]:
    """Yield the setting; turn an empty one, and what AWS refuses meanwhile, into MetricFailed naming it."""
    value: str = getattr(settings, setting)
    if not value:
        raise MetricFailed(setting, f"{setting} is empty: `manage.py stack_env` prints it.")
    try:
        yield value
    except (ClientError, BotoCoreError) as error:
        raise MetricFailed(setting, f"{setting} is {value!r}. {_advice(error)}") from error


def _advice(error: ClientError | BotoCoreError) -> str:
    """Return what AWS said, and what to do about it where that is known."""
    if not isinstance(error, ClientError):
        return f"AWS can't be reached: {error}"
    code = error.response["Error"].get("Code", "")
    if code in _DENIED:
        return f"This process's role may not do {error.operation_name}: provision the stacks again. ({error})"
    if "NonExistent" in code or "DoesNotExist" in code:
        return f"Nothing has that name: check it, and AWS_REGION. ({error})"
    return str(error)
