"""Publish the sizes of groups to CloudWatch, as EC2 Auto Scaling does every minute; ministack does not."""

import time
from collections.abc import Mapping

from botocore.exceptions import BotoCoreError, ClientError

from botsite import aws
from deploy.local.autoscaling.capacity import Fleet
from metrics.cloudwatch import Group
from metrics.service import GROUP_DESIRED, GROUP_IN_SERVICE, GROUP_NAMESPACE

_EVERY_SECONDS = 60.0


class GroupMetrics:
    """The metrics of all groups. `time_scale` seconds here are one on AWS."""

    def __init__(self, time_scale: float) -> None:
        self._every_seconds = _EVERY_SECONDS * time_scale
        self._due = 0.0

    def tick(self, groups: Mapping[str, Group], fleets: Mapping[str, Fleet]) -> None:
        """Publish if that is due; what can't be published is missing from a chart, and nothing else."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self._every_seconds
        for name, group in groups.items():
            values = {GROUP_DESIRED: group.desired, GROUP_IN_SERVICE: fleets[name].working}
            dimensions = [{"Name": "AutoScalingGroupName", "Value": name}]
            data = [{"MetricName": one, "Value": value, "Dimensions": dimensions} for one, value in values.items()]
            try:
                aws.client("cloudwatch").put_metric_data(Namespace=GROUP_NAMESPACE, MetricData=data)
            except (ClientError, BotoCoreError):
                return
