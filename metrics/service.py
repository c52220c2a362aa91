"""The queue, the group and the metrics that this process's settings name; each failure names the setting behind it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite import aws
from metrics import cloudwatch
from metrics.backlog import Values
from metrics.cloudwatch import Group, Metric, Queue, TrackingPolicy
from metrics.evaluation import Point

METRICS = ("BacklogPerInstance", "BacklogWithoutCapacity")
HOURS = 3
# CloudWatch keeps points by the second for three hours, by its own clock.
_SPAN = timedelta(hours=HOURS) - timedelta(seconds=30)
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "NotAuthorized"}


class MetricFailed(Exception):
    """Something could not be read or published. `setting` names what to look at first."""

    def __init__(self, setting: str, text: str) -> None:
        super().__init__(text)
        self.setting = setting


@dataclass(frozen=True, slots=True)
class Tracked:
    """BacklogPerInstance of the last HOURS, oldest first, `at` in epoch seconds; and the target it is held against."""

    points: tuple[Point, ...]
    target: float


def queue() -> Queue:
    """Return the jobs queue; raise MetricFailed."""
    with _naming("JOBS_QUEUE_URL") as url:
        return cloudwatch.queue(url)


def group() -> Group:
    """Return the workers' group; raise MetricFailed."""
    with _naming("ASG_NAME") as name:
        found = cloudwatch.groups(name).get(name)
    if found is None:
        text = f"The Auto Scaling group {name!r} doesn't exist in {aws.place()}: check ASG_NAME and AWS_REGION."
        raise MetricFailed("ASG_NAME", text)
    return found


def tracked() -> Tracked:
    """Return what target tracking looks at: the deployed policy alone knows which metric and target count.

    Raise MetricFailed.
    """
    with _naming("ASG_NAME") as name:
        for policy in cloudwatch.policies(name):
            if isinstance(policy, TrackingPolicy) and policy.metric:
                [points] = cloudwatch.points([policy.metric], datetime.now(UTC) - _SPAN)
                return Tracked(points, policy.target)
    raise MetricFailed("ASG_NAME", f"{name} has no target tracking policy on our metric: provision the workers again.")


def metrics() -> dict[str, Metric]:
    """Return both published metrics by name, exactly as the policies name them; raise MetricFailed."""
    with _naming("METRIC_NAMESPACE") as namespace, _naming("ASG_NAME") as group_name:
        # With other dimensions each would be another metric.
        dimensions = (("AutoScalingGroupName", group_name),)
        return {name: Metric(namespace, name, dimensions) for name in METRICS}


def publish(values: Values) -> None:
    """Publish both metrics; raise MetricFailed. CloudWatch stamps them: its clock counts, not this machine's."""
    numbers = dict(zip(METRICS, (values.backlog_per_instance, values.backlog_without_capacity), strict=True))
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
        return f"This process's role may not do {error.operation_name}: provision the metric stack again. ({error})"
    if "NonExistent" in code or "DoesNotExist" in code:
        return f"Nothing has that name: check it, and AWS_REGION. ({error})"
    return str(error)
