"""Have ministack's instance refreshes last until no instance is outdated; this runs in the emulator's process.

ministack calls a refresh successful at once. Here it goes on while the group lists instances of an older launch
template, which deploy/local/autoscaling replaces by terminating one after the other.
"""

from collections.abc import Mapping
from typing import Any

from ministack.services import autoscaling

from deploy.local.warm_pool import Answer, Record

_start_at_once, _describe_as_stored = autoscaling._start_instance_refresh, autoscaling._describe_instance_refreshes

_TERMINATED = "<TerminateInstanceInAutoScalingGroupResult/>"


def install() -> None:
    """Replace the actions, and add the one that terminates an instance; call this before the emulator starts."""
    autoscaling._ACTION_MAP |= {
        "StartInstanceRefresh": _start,
        "DescribeInstanceRefreshes": _describe,
        "TerminateInstanceInAutoScalingGroup": _terminate,
    }


def _start(params: Mapping[str, Any]) -> Answer:
    group = _group(params)
    if any(_settle(group, one) for one in group.get("InstanceRefreshes", [])):
        refused: Answer = autoscaling._error("InstanceRefreshInProgress", "An Instance Refresh is already in progress")
        return refused
    answer: Answer = _start_at_once(params)
    if left := _outdated(group):
        group["InstanceRefreshes"][0] |= {"Status": "InProgress", "PercentageComplete": 0, "InstancesToUpdate": left}
    return answer


def _describe(params: Mapping[str, Any]) -> Answer:
    group = _group(params)
    for one in group.get("InstanceRefreshes", []):
        _settle(group, one)
    answer: Answer = _describe_as_stored(params)
    return answer


def _settle(group: Record, refresh: Record) -> bool:
    """Bring a refresh up to date; return whether it goes on."""
    if refresh["Status"] != "InProgress":
        return False
    left = _outdated(group)
    refresh["PercentageComplete"] = 100 - 100 * left // refresh["InstancesToUpdate"] if left else 100
    refresh["Status"] = "InProgress" if left else "Successful"
    return bool(left)


def _outdated(group: Record) -> int:
    return sum(one.get("LaunchTemplate") != group.get("LaunchTemplate") for one in group.get("Instances", []))


def _terminate(params: Mapping[str, Any]) -> Answer:
    """Take an instance out of its group's list; another one takes its place unless the capacity goes down too."""
    wanted = autoscaling._p(params, "InstanceId")
    for group in autoscaling._asgs.values():
        if any(one["InstanceId"] == wanted for one in group["Instances"]):
            group["Instances"] = [one for one in group["Instances"] if one["InstanceId"] != wanted]
            group["DesiredCapacity"] -= autoscaling._p(params, "ShouldDecrementDesiredCapacity") == "true"
            autoscaling._reconcile_instances(group)
            answer: Answer = autoscaling._xml(200, "TerminateInstanceInAutoScalingGroupResponse", _TERMINATED)
            return answer
    refused: Answer = autoscaling._error("ValidationError", f"Instance Id not found - No managed instance {wanted}")
    return refused


def _group(params: Mapping[str, Any]) -> Record:
    group: Record = autoscaling._asgs.get(autoscaling._p(params, "AutoScalingGroupName"), {})
    return group
