"""Replace a group's instances that have an older launch template, and so perhaps an older image, than the group.

EC2 Auto Scaling does this (instance refresh): it launches the new instance first, then terminates the old one through
the group's termination hook, so that a worker finishes its photos.
"""

import time
from contextlib import suppress

from botsite import aws
from botsite.roles import Role
from deploy.cfn import cloudformation
from deploy.cfn.cloudformation import StackError
from deploy.patience import Say
from deploy.service import Service
from metrics import cloudwatch

# Per cent of the desired capacity: never fewer instances than before, and up to twice as many during the refresh.
# AWS's guide doesn't say whether that may exceed the group's maximum (deploy/README.md, "Update").
_AT_LEAST, _AT_MOST = 100, 200
# A worker may take a quarter of an hour to finish, and an instance some minutes to start.
_LONGEST_SECONDS = 4 * 60 * 60
# What a refresh that is being cancelled has begun, it finishes: a machine's start, and a worker's last photos.
_CANCEL_SECONDS = 20 * 60
_FAILED = ("Failed", "Cancelled", "RollbackFailed", "RollbackSuccessful")


def group(service: Service, role: Role) -> str:
    """Return the name of the role's group; raise StackError if its stack isn't deployed."""
    return service.output(role.part, role.group_output)


def outdated(group_name: str) -> list[str]:
    """Return the ids of the instances of the group and its warm pool that a refresh would replace."""
    return [
        one.id
        for group in cloudwatch.groups(group_name).values()
        for one in (*group.instances, *(cloudwatch.pool(group_name) if group.pooled else ()))
        # One that is already terminating needs no replacement.
        if one.launch_template != group.launch_template and "Terminat" not in one.state
    ]


def start(group_name: str, every: bool = False) -> str:
    """Start replacing the group's outdated instances, or `every` one; return the refresh's id, empty if one is running.

    It continues without this process.
    """
    autoscaling = aws.client("autoscaling")
    try:
        answer = autoscaling.start_instance_refresh(
            AutoScalingGroupName=group_name,
            Strategy="Rolling",
            Preferences={
                "MinHealthyPercentage": _AT_LEAST,
                "MaxHealthyPercentage": _AT_MOST,
                # Keep instances that are up to date.
                "SkipMatching": not every,
                "ScaleInProtectedInstances": "Wait",
            },
        )
    except autoscaling.exceptions.InstanceRefreshInProgressFault:
        return ""
    return str(answer["InstanceRefreshId"])


def restart(group_name: str) -> str:
    """Start replacing as `start` does, but end a refresh that is running first: it leads to another image."""
    autoscaling = aws.client("autoscaling")
    if started := start(group_name):
        return started
    with suppress(autoscaling.exceptions.ActiveInstanceRefreshNotFoundFault):
        autoscaling.cancel_instance_refresh(AutoScalingGroupName=group_name)
    deadline = time.monotonic() + _CANCEL_SECONDS
    while not (started := start(group_name)):
        cloudformation.pause(deadline, f"{group_name} is still cancelling an instance refresh")
    return started


def follow(group_name: str, refresh_id: str, say: Say) -> None:
    """Wait until a refresh is done, reporting progress; raise StackError if it fails."""
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
                f"{group_name}: the instance refresh is {now['Status']}: {now.get('StatusReason', 'no reason given')}"
            )
        if (text := f"{group_name}: {now.get('PercentageComplete', 0)} % replaced") != told:
            say(text)
            told = text
        cloudformation.pause(deadline, f"{group_name} is still replacing instances")
