"""A queue and an Auto Scaling group of a test's own, and what is published about them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings

from botsite import aws
from deploy.local.stack import LocalStack


@dataclass(frozen=True)
class Group:
    """The test's own queue and Auto Scaling group; `name` is also the namespace of their metrics."""

    name: str
    queue_url: str

    def send(self, messages: int) -> None:
        """Put messages into the queue."""
        for number in range(messages):
            aws.client("sqs").send_message(QueueUrl=self.queue_url, MessageBody=str(number))

    def resize(self, desired: int) -> None:
        """Set the desired capacity."""
        aws.client("autoscaling").set_desired_capacity(AutoScalingGroupName=self.name, DesiredCapacity=desired)

    def published(self, metric: str) -> set[float]:
        """Return the values of a metric as an alarm with exactly these dimensions and this unit sees them."""
        now = datetime.now(UTC)
        answer = aws.client("cloudwatch").get_metric_statistics(
            Namespace=settings.METRIC_NAMESPACE,
            MetricName=metric,
            Dimensions=[{"Name": "AutoScalingGroupName", "Value": settings.ASG_NAME}],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=5),
            Period=60,
            Statistics=["Average"],
            Unit="None",
        )
        return {point["Average"] for point in answer["Datapoints"]}

    @property
    def both(self) -> tuple[set[float], set[float]]:
        """Return the published values of both metrics."""
        return self.published("BacklogPerInstance"), self.published("BacklogWithoutCapacity")


@pytest.fixture
def group(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Group:
    """Make a queue and a group that nothing else uses, and have the metric be about them."""
    name = f"metric-{uuid4().hex[:8]}"
    queue_url = aws.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    launch: dict[str, Any] = {"ImageId": "ami-00000000", "InstanceType": "t3.micro"}
    aws.client("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=launch)
    aws.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchTemplate={"LaunchTemplateName": name},
        MinSize=0,
        MaxSize=5,
        AvailabilityZones=["us-east-1a"],
    )
    ours = {"ASG_NAME": name, "METRIC_NAMESPACE": name, "JOBS_QUEUE_URL": queue_url, "BACKLOG_TARGET": 10.0}
    ours |= {"KEEP_WARM_SECONDS": 0.0}
    for setting, value in ours.items():
        monkeypatch.setattr(settings, setting, value)
    return Group(name, queue_url)
