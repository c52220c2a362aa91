"""Read the queue's depth and the group's size, and put the two metrics; each failure names the setting behind it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite import aws
from metrics.backlog import Values

_VISIBLE, _IN_FLIGHT = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "NotAuthorized"}


class MetricFailed(Exception):
    """A source could not be read, or the metrics not be put. `setting` names what to look at first."""

    def __init__(self, setting: str, text: str) -> None:
        super().__init__(text)
        self.setting = setting


@dataclass(frozen=True, slots=True)
class Depth:
    """Messages in the jobs queue: waiting, and held by workers."""

    visible: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class Size:
    """Machines of the group: wanted, allowed, and what has become of them."""

    desired: int
    minimum: int
    maximum: int
    in_service: int
    pending: int


@contextmanager
def naming(setting: str) -> Iterator[str]:
    """Yield the setting; turn what AWS refuses meanwhile, and an empty setting, into MetricFailed naming it."""
    value: str = getattr(settings, setting)
    if not value:
        raise MetricFailed(setting, f"{setting} is empty: `manage.py stack_env` prints it.")
    try:
        yield value
    except (ClientError, BotoCoreError) as error:
        raise MetricFailed(setting, f"{setting} is {value!r}. {_advice(error)}") from error


def depth() -> Depth:
    """Return the depth of the jobs queue; raise MetricFailed."""
    with naming("JOBS_QUEUE_URL") as url:
        answer = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[_VISIBLE, _IN_FLIGHT])
    return Depth(int(answer["Attributes"][_VISIBLE]), int(answer["Attributes"][_IN_FLIGHT]))


def size() -> Size:
    """Return the size of the workers' group; raise MetricFailed."""
    with naming("ASG_NAME") as name:
        answer = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    if not answer["AutoScalingGroups"]:
        text = f"There is no Auto Scaling group {name!r} in {aws.place()}: check ASG_NAME and AWS_REGION."
        raise MetricFailed("ASG_NAME", text)
    group = answer["AutoScalingGroups"][0]
    states = [instance["LifecycleState"] for instance in group.get("Instances", [])]
    return Size(
        desired=group["DesiredCapacity"],
        minimum=group["MinSize"],
        maximum=group["MaxSize"],
        in_service=states.count("InService"),
        pending=sum(state.startswith("Pending") for state in states),
    )


def publish(values: Values) -> None:
    """Put both metrics; raise MetricFailed. CloudWatch stamps them: its clock counts, not that of this machine."""
    with naming("ASG_NAME") as group:
        # Exactly as the policies name it: with other dimensions it would be another metric.
        dimensions = [{"Name": "AutoScalingGroupName", "Value": group}]
    both = {
        "BacklogPerInstance": values.backlog_per_instance,
        "BacklogWithoutCapacity": values.backlog_without_capacity,
    }
    # Kept by the second, so that alarms may have periods below a minute.
    common = {"Dimensions": dimensions, "Unit": "None", "StorageResolution": 1}
    data = [{"MetricName": name, "Value": value, **common} for name, value in both.items()]
    with naming("METRIC_NAMESPACE") as namespace:
        aws.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)


def _advice(error: ClientError | BotoCoreError) -> str:
    """Return what AWS said, and what to do about it where that is known."""
    if not isinstance(error, ClientError):
        return f"AWS cannot be asked: {error}"
    code = error.response["Error"].get("Code", "")
    if code in _DENIED:
        return f"This process's role may not do {error.operation_name}: provision the metric stack again. ({error})"
    if "NonExistent" in code or "DoesNotExist" in code:
        return f"There is nothing of that name: check it, and AWS_REGION. ({error})"
    return str(error)
