"""Replace the machines of a group that were launched from an older template or image than the group has now.

EC2 Auto Scaling does it by itself (instance refresh): a new machine first, then the old one goes, by way of the
group's termination hook, so that a worker finishes its photos.
"""

import time
from collections.abc import Callable
from typing import Any

from botsite import aws
from deploy.cfn import cloudformation
from deploy.cfn.cloudformation import StackError

# Per cent of the desired capacity: as many machines as before serve at any time, and there may be twice as many while
# they are replaced. Whether that may be above the group's maximum, AWS's guide does not say (README, "Update").
_AT_LEAST, _AT_MOST = 100, 200
# A worker may take a quarter of an hour to end, and a machine some minutes to start.
_LONGEST_SECONDS = 4 * 60 * 60
_FAILED = ("Failed", "Cancelled", "RollbackFailed", "RollbackSuccessful")


def outdated(group_name: str) -> list[str]:
    """Return the ids of the group's machines that a refresh would replace."""
    groups = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group_name])
    return [
        one["InstanceId"]
        for group in groups["AutoScalingGroups"]
        for one in group["Instances"]
        # One that is ending already needs no replacement.
        if _version(one) != _version(group) and not one["LifecycleState"].startswith("Terminat")
    ]


def start(group_name: str) -> str:
    """Begin to replace the group's outdated machines; return the refresh's id, empty if another one is at it.

    It goes on without this process.
    """
    autoscaling = aws.client("autoscaling")
    try:
        answer = autoscaling.start_instance_refresh(
            AutoScalingGroupName=group_name,
            Strategy="Rolling",
            Preferences={
                "MinHealthyPercentage": _AT_LEAST,
                "MaxHealthyPercentage": _AT_MOST,
                # Machines that are as they should be stay.
                "SkipMatching": True,
                "ScaleInProtectedInstances": "Wait",
            },
        )
    except autoscaling.exceptions.InstanceRefreshInProgressFault:
        return ""
    return str(answer["InstanceRefreshId"])


def follow(group_name: str, refresh_id: str, say: Callable[[str], None]) -> None:
    """Wait until a refresh is done, saying how far it is; raise StackError if it ends otherwise."""
    deadline, told = time.monotonic() + _LONGEST_SECONDS, ""
    while True:
        found = aws.client("autoscaling").describe_instance_refreshes(
            AutoScalingGroupName=group_name, InstanceRefreshIds=[refresh_id]
        )["InstanceRefreshes"]
        now = found[0] if found else {"Status": "Pending"}
        if now["Status"] == "Successful":
            return
        if now["Status"] in _FAILED:
            raise StackError(
                f"{group_name}: replacing its machines is {now['Status']}: {now.get('StatusReason', 'no reason given')}"
            )
        if (text := f"{group_name}: {now.get('PercentageComplete', 0)} % replaced") != told:
            say(text)
            told = text
        cloudformation.pause(deadline, f"{group_name} still replaces its machines")


def _version(one: dict[str, Any]) -> tuple[str, str]:
    template = one.get("LaunchTemplate", {})
    return template.get("LaunchTemplateId", ""), template.get("Version", "")
