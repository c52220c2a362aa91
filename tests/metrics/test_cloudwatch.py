"""What is read of AWS, in the one place that reads it, is what the stacks deployed and what was published."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.conf import settings

from botsite import aws
from deploy.cfn import template
from deploy.local.stack import LocalStack
from deploy.stacks import TEMPLATES
from metrics import cloudwatch, service
from metrics.backlog import Depth
from metrics.cloudwatch import Metric, StepPolicy, TrackingPolicy


@pytest.fixture
def queue_url(stack: LocalStack) -> Iterator[str]:
    url = aws.client("sqs").create_queue(QueueName=f"reader-{uuid4().hex[:8]}")["QueueUrl"]
    yield url
    aws.client("sqs").delete_queue(QueueUrl=url)


def test_queue_counts_waiting_and_held_messages(queue_url: str) -> None:
    for _ in range(3):
        aws.client("sqs").send_message(QueueUrl=queue_url, MessageBody="x")
    aws.client("sqs").receive_message(QueueUrl=queue_url)
    assert cloudwatch.queue(queue_url) == Depth(visible=2, in_flight=1)


def test_groups_are_found_by_name(stack: LocalStack) -> None:
    name = stack.env["ASG_NAME"]
    found = cloudwatch.groups(name, "no-such-group")
    assert list(found) == [name]
    group = found[name]
    assert (group.minimum, group.desired, group.instances, group.suspended) == (0, 0, (), ())
    assert group.launch_template.id.startswith("lt-")


def test_policies_say_their_metric_target_and_steps(stack: LocalStack) -> None:
    name = stack.env["ASG_NAME"]
    found = cloudwatch.policies(name)
    tracking, busy = (policy for policy in found if isinstance(policy, TrackingPolicy))
    [steps] = [policy for policy in found if isinstance(policy, StepPolicy)]
    dimensions = (("AutoScalingGroupName", name),)
    assert tracking.metric == Metric("ObjectDetection", "BacklogPerInstance", dimensions)
    assert (tracking.target, tracking.period, tracking.scale_in) == (270.0, 30.0, True)
    assert (busy.metric, busy.target) == (Metric("ObjectDetection", "InFlightPerInstance", dimensions), 10.0)
    assert (steps.adjustment, steps.steps[:2]) == ("ChangeInCapacity", ((0.0, 1), (270.0, 2)))


def test_alarms_name_their_metric_and_actions(stack: LocalStack) -> None:
    name = stack.env["ASG_NAME"]
    prefix = name.removesuffix("-yolo5")
    [steps] = [policy for policy in cloudwatch.policies(name) if isinstance(policy, StepPolicy)]
    [alarm] = cloudwatch.alarms(f"{prefix}-first-worker")
    assert (alarm.metric.name, alarm.comparison, alarm.threshold) == (
        "BacklogWithoutCapacity",
        "GreaterThanThreshold",
        0.0,
    )
    assert (alarm.period, alarm.periods, alarm.actions) == (10.0, 1, (steps.arn,))


def test_points_of_several_metrics_come_oldest_first(stack: LocalStack) -> None:
    namespace, now = f"reader-{uuid4().hex[:8]}", datetime.now(UTC).replace(microsecond=0)
    data = [
        {"MetricName": name, "Value": value, "Timestamp": now - timedelta(seconds=age), "StorageResolution": 1}
        for name, value, age in (("a", 1.0, 1), ("a", 2.0, 31), ("b", 3.0, 1))
    ]
    aws.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)
    metrics = [Metric(namespace, name) for name in ("a", "b", "c")]
    found = cloudwatch.points(metrics, now - timedelta(minutes=5))
    assert [[point.value for point in points] for points in found] == [[2.0, 1.0], [3.0], []]
    assert found[0][1].at == now.timestamp() - 1


def test_chart_begins_within_three_hours(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """CloudWatch rounds the start down to the minute, and returns nothing if it is older than three hours then."""
    monkeypatch.setattr(settings, "ASG_NAME", stack.env["ASG_NAME"])
    starts: list[datetime] = []
    events, event = aws.client("cloudwatch").meta.events, "provide-client-params.cloudwatch.GetMetricData"
    events.register(event, lambda params, **more: starts.append(params["StartTime"]), unique_id=event)
    service.tracked()
    events.unregister(event, unique_id=event)
    [start] = starts
    assert start.replace(second=0, microsecond=0) > datetime.now(UTC) - timedelta(hours=service.HOURS, minutes=-1)


def test_alarm_and_pages_agree_on_stale() -> None:
    alarm = template.read(TEMPLATES / "alarms.yaml").all_resources["MetricGapAlarm"]["Properties"]
    assert alarm["Period"] * alarm["EvaluationPeriods"] == cloudwatch.STALE_AFTER_SECONDS
