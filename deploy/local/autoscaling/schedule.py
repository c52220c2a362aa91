"""Carry out scheduled actions when they are due, as EC2 Auto Scaling does; ministack only stores them."""

import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from botsite import aws
from deploy.local.notice import Report

_EVERY_SECONDS = 1.0
_SIZES = ("MinSize", "MaxSize", "DesiredCapacity")


class Schedule:
    """The scheduled actions of some groups. They are dated, so their time is not scaled; none may recur."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._due = 0.0

    def tick(self, groups: Collection[str]) -> None:
        """Carry out what is due, once; raise what botocore raises."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _EVERY_SECONDS
        pages = aws.client("autoscaling").get_paginator("describe_scheduled_actions").paginate()
        for action in [one for page in pages for one in page["ScheduledUpdateGroupActions"]]:
            if action["AutoScalingGroupName"] in groups and action["StartTime"] <= datetime.now(UTC):
                self._carry_out(action)

    def _carry_out(self, action: Mapping[str, Any]) -> None:
        name, sizes = action["AutoScalingGroupName"], {key: action[key] for key in _SIZES if key in action}
        aws.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=name, **sizes)
        aws.client("autoscaling").delete_scheduled_action(
            AutoScalingGroupName=name, ScheduledActionName=action["ScheduledActionName"]
        )
        done = ", ".join(f"{key} {value}" for key, value in sizes.items())
        self._report(f"{name}: {done}, by the scheduled action {action['ScheduledActionName']!r}")
