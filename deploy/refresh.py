"""Replace the machines of a group that were launched from an older template or image than the group has now.

EC2 Auto Scaling does it by itself (instance refresh): a new machine first, then the old one goes, by way of the
group's termination hook, so that a worker finishes its photos.
"""

from typing import Any

from botsite import aws

# As many machines as before serve at any time, and up to this many per cent while one is replaced.
_AT_LEAST, _AT_MOST = 100, 200


def outdated(group_name: str) -> list[str]:
    """Return the ids of the group's machines that a refresh would replace."""
    groups = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group_name])
    return [
        one["InstanceId"]
        for group in groups["AutoScalingGroups"]
        for one in group["Instances"]
        if _version(one) != _version(group)
    ]


def start(group_name: str) -> str:
    """Begin to replace the group's outdated machines; return the refresh's id. It goes on without this process."""
    answer = aws.client("autoscaling").start_instance_refresh(
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
    return str(answer["InstanceRefreshId"])


def _version(one: dict[str, Any]) -> tuple[str, str]:
    template = one.get("LaunchTemplate", {})
    return template.get("LaunchTemplateId", ""), template.get("Version", "")
