"""Read what AWS knows of a service's load: its queues, Auto Scaling groups, policies, alarms and metric points.

Each function asks once and returns plain values; it raises what botocore raises.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

from botsite import aws
from metrics.backlog import Depth
from metrics.evaluation import Point

# The metric comes every 30 s: three points in a row are missing. The alarm `metric-gap` of the stacks says the same.
STALE_AFTER_SECONDS = 90.0
_VISIBLE, _IN_FLIGHT = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
# The newest of a group: what is under way says nothing yet.
_ACTIVITIES = 10


@dataclass(frozen=True, slots=True)
class LaunchTemplate:
    """A launch template in one of its versions; both are empty without one."""

    id: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Instance:
    """A machine of a group. `state` is EC2 Auto Scaling's lifecycle state: Pending, InService, Terminating, ..."""

    id: str
    zone: str
    state: str
    healthy: bool
    launch_template: LaunchTemplate


@dataclass(frozen=True, slots=True)
class Group:
    """An Auto Scaling group. `suspended` are the processes it may not run; `health_check` is EC2 or ELB.

    `pooled` says whether it has a warm pool.
    """

    name: str
    desired: int
    minimum: int
    maximum: int
    instances: tuple[Instance, ...]
    launch_template: LaunchTemplate
    health_check: str
    suspended: tuple[str, ...]
    pooled: bool = False

    @property
    def in_service(self) -> int:
        """Return how many machines work."""
        return sum(instance.state == "InService" for instance in self.instances)

    @property
    def pending(self) -> int:
        """Return how many machines are starting."""
        return sum(instance.state.startswith("Pending") for instance in self.instances)


@dataclass(frozen=True, slots=True)
class ScheduledAction:
    """A change of a group that EC2 Auto Scaling makes at a time."""

    name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric and the statistic that is wanted of it."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()
    statistic: str = "Average"


@dataclass(frozen=True, slots=True)
class TrackingPolicy:
    """A target tracking policy on a metric of our own; None without one. Times are in seconds."""

    name: str
    arn: str
    enabled: bool
    warmup: float
    metric: Metric | None
    period: float
    target: float
    scale_in: bool


@dataclass(frozen=True, slots=True)
class StepPolicy:
    """A step scaling policy; each step is (distance above the threshold, change). `warmup` is in seconds."""

    name: str
    arn: str
    enabled: bool
    warmup: float
    adjustment: str
    steps: tuple[tuple[float, int], ...]


@dataclass(frozen=True, slots=True)
class OtherPolicy:
    """A scaling policy of another kind, such as simple or predictive scaling."""

    name: str
    arn: str
    enabled: bool
    warmup: float


@dataclass(frozen=True, slots=True)
class Alarm:
    """A CloudWatch alarm on one metric. `state` is OK, ALARM or INSUFFICIENT_DATA; `period` is in seconds."""

    name: str
    description: str
    state: str
    metric: Metric
    comparison: str
    threshold: float
    period: float
    periods: int
    actions: tuple[str, ...]

    @property
    def scales(self) -> bool:
        """Return whether it drives a scaling policy: it goes off in normal operation, and notifies nobody."""
        return any(":scalingPolicy:" in action for action in self.actions) or self.name.startswith("TargetTracking-")


def queue(url: str) -> Depth:
    """Return how many messages a queue has."""
    answer = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[_VISIBLE, _IN_FLIGHT])
    return Depth(int(answer["Attributes"][_VISIBLE]), int(answer["Attributes"][_IN_FLIGHT]))


def groups(*names: str) -> dict[str, Group]:
    """Return those of the groups that exist, by name."""
    answer = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=list(names))
    return {group["AutoScalingGroupName"]: _group(group) for group in answer["AutoScalingGroups"]}


def last_failure(group_name: str) -> str:
    """Return why EC2 could not do what a group last asked of it, in AWS's words; empty if it could, or is at it."""
    asked = {"AutoScalingGroupName": group_name, "MaxRecords": _ACTIVITIES}
    for activity in aws.client("autoscaling").describe_scaling_activities(**asked)["Activities"]:
        if activity["StatusCode"] == "Failed":
            return str(activity.get("StatusMessage") or activity["Description"])
        if activity["StatusCode"] == "Successful":
            return ""
    return ""


def activities(group_name: str, since: datetime) -> Iterator[Mapping[str, Any]]:
    """Yield what a group did since a time, the newest first, as AWS describes it. It keeps six weeks."""
    pages = (
        aws.client("autoscaling").get_paginator("describe_scaling_activities").paginate(AutoScalingGroupName=group_name)
    )
    every = (activity for page in pages for activity in page["Activities"])
    return takewhile(lambda activity: activity["StartTime"] >= since, every)


def pool(group_name: str) -> tuple[Instance, ...]:
    """Return the machines of a group's warm pool, which the group itself does not list."""
    pages = aws.client("autoscaling").get_paginator("describe_warm_pool").paginate(AutoScalingGroupName=group_name)
    return tuple(_instance(instance) for page in pages for instance in page["Instances"])


def scheduled(group_name: str) -> list[ScheduledAction]:
    """Return the scheduled actions of a group that have a time, the next one first."""
    pages = (
        aws.client("autoscaling").get_paginator("describe_scheduled_actions").paginate(AutoScalingGroupName=group_name)
    )
    actions = [one for page in pages for one in page["ScheduledUpdateGroupActions"] if "StartTime" in one]
    found = [ScheduledAction(one["ScheduledActionName"], one["StartTime"].astimezone(UTC)) for one in actions]
    return sorted(found, key=lambda one: one.at)


def policies(group_name: str) -> list[TrackingPolicy | StepPolicy | OtherPolicy]:
    """Return the scaling policies of a group."""
    pages = aws.client("autoscaling").get_paginator("describe_policies").paginate(AutoScalingGroupName=group_name)
    return [_policy(policy) for page in pages for policy in page["ScalingPolicies"]]


def alarms(name_prefix: str = "") -> list[Alarm]:
    """Return the alarms whose names begin so; alarms on an expression of several metrics are left out."""
    only = {"AlarmNamePrefix": name_prefix} if name_prefix else {}
    pages = aws.client("cloudwatch").get_paginator("describe_alarms").paginate(**only)
    return [_alarm(alarm) for page in pages for alarm in page["MetricAlarms"] if "MetricName" in alarm]


def alarms_of(prefix: str, workers: str) -> list[Alarm]:
    """Return the alarms of a service, with the two that EC2 Auto Scaling made for its workers' group."""
    return [one for beginning in (f"{prefix}-", f"TargetTracking-{workers}") for one in alarms(beginning)]


def points(metrics: Sequence[Metric], since: datetime, period: int = 1) -> list[tuple[Point, ...]]:
    """Return the points of each metric by periods of so many seconds, oldest first, with their times (epoch seconds).

    CloudWatch keeps them by the second for three hours, by the minute for 15 days.
    """
    queries = [{"Id": f"m{number}", "MetricStat": _statistic(metric, period)} for number, metric in enumerate(metrics)]
    pages = (
        aws.client("cloudwatch")
        .get_paginator("get_metric_data")
        .paginate(
            MetricDataQueries=queries,
            StartTime=since,
            # Of this very second too.
            EndTime=datetime.now(UTC) + timedelta(seconds=1),
            ScanBy="TimestampAscending",
        )
    )
    found: dict[str, list[Point]] = {f"m{number}": [] for number in range(len(metrics))}
    for page in pages:
        for result in page["MetricDataResults"]:
            pairs = zip(result["Timestamps"], result["Values"], strict=True)
            found[result["Id"]] += [Point(at.timestamp(), value) for at, value in pairs]
    return [tuple(each) for each in found.values()]


def _group(group: Mapping[str, Any]) -> Group:
    return Group(
        name=group["AutoScalingGroupName"],
        desired=group["DesiredCapacity"],
        minimum=group["MinSize"],
        maximum=group["MaxSize"],
        instances=tuple(_instance(instance) for instance in group.get("Instances", [])),
        launch_template=_template(group),
        health_check=group.get("HealthCheckType", "EC2"),
        suspended=tuple(process["ProcessName"] for process in group.get("SuspendedProcesses", [])),
        pooled="WarmPoolConfiguration" in group,
    )


def _instance(instance: Mapping[str, Any]) -> Instance:
    return Instance(
        id=instance["InstanceId"],
        zone=instance.get("AvailabilityZone", ""),
        state=instance["LifecycleState"],
        healthy=instance.get("HealthStatus") == "Healthy",
        launch_template=_template(instance),
    )


def _template(described: Mapping[str, Any]) -> LaunchTemplate:
    """Return the launch template of a group or an instance; a group with Spot instances has it in its policy."""
    mixed = described.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    template = described.get("LaunchTemplate") or mixed.get("LaunchTemplateSpecification", {})
    return LaunchTemplate(template.get("LaunchTemplateId", ""), template.get("Version", ""))


def _policy(policy: Mapping[str, Any]) -> TrackingPolicy | StepPolicy | OtherPolicy:
    match policy["PolicyType"]:
        case "TargetTrackingScaling":
            return _tracking(policy)
        case "StepScaling":
            return _steps(policy)
    return OtherPolicy(**_common(policy))


def _tracking(policy: Mapping[str, Any]) -> TrackingPolicy:
    configuration = policy["TargetTrackingConfiguration"]
    metric = configuration.get("CustomizedMetricSpecification", {})
    return TrackingPolicy(
        **_common(policy),
        metric=_metric(metric) if "MetricName" in metric else None,
        period=float(metric.get("Period", 60)),
        target=float(configuration["TargetValue"]),
        scale_in=not configuration.get("DisableScaleIn", False),
    )


def _steps(policy: Mapping[str, Any]) -> StepPolicy:
    steps = [
        (step.get("MetricIntervalLowerBound", 0.0), step["ScalingAdjustment"]) for step in policy["StepAdjustments"]
    ]
    return StepPolicy(**_common(policy), adjustment=policy["AdjustmentType"], steps=tuple(sorted(steps)))


def _common(policy: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": policy["PolicyName"],
        "arn": policy["PolicyARN"],
        "enabled": policy.get("Enabled", True),
        "warmup": float(policy.get("EstimatedInstanceWarmup", 0)),
    }


def _alarm(alarm: Mapping[str, Any]) -> Alarm:
    return Alarm(
        name=alarm["AlarmName"],
        description=alarm.get("AlarmDescription", ""),
        state=alarm["StateValue"],
        metric=_metric(alarm),
        comparison=alarm["ComparisonOperator"],
        threshold=float(alarm["Threshold"]),
        period=float(alarm["Period"]),
        periods=alarm["EvaluationPeriods"],
        actions=tuple(alarm.get("AlarmActions", [])),
    )


def _metric(described: Mapping[str, Any]) -> Metric:
    dimensions = tuple((one["Name"], one["Value"]) for one in described.get("Dimensions", []))
    return Metric(described["Namespace"], described["MetricName"], dimensions, described.get("Statistic", "Average"))


def _statistic(metric: Metric, period: int) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in metric.dimensions]
    named = {"Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": dimensions}
    return {"Metric": named, "Period": period, "Stat": metric.statistic}
