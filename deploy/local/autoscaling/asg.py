"""Read an Auto Scaling group as it is deployed, and set its desired capacity."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botsite import aws
from deploy.cfn.live import last_part

# The file of settings that a machine's user data writes: see UserData in deploy/cloudformation/workers.yaml.
_SETTINGS = re.compile(r"<<'END'\n(.*?)\nEND\n", re.DOTALL)


class Unusable(Exception):
    """A group that cannot be as it is deployed; the text says why and what to do."""


@dataclass(frozen=True)
class Listed:
    """An instance in a group's list."""

    instance_id: str
    zone: str


@dataclass(frozen=True)
class Launch:
    """What an instance of the group gets: its type, its role, the settings in its user data, and its time to drain."""

    instance_type: str
    role_arn: str
    settings: Mapping[str, str]
    # How long it may take to finish its work at its end.
    drain_seconds: float


@dataclass(frozen=True)
class Group:
    """A group's sizes, in instances, and its list of them."""

    name: str
    minimum: int
    maximum: int
    desired: int
    instances: tuple[Listed, ...]
    launch_template_id: str
    launch_template_version: str
    # "ELB": the group replaces what the load balancer finds unhealthy.
    health_check_type: str


def describe(*names: str) -> dict[str, Group]:
    """Return those of the groups that exist, by name."""
    answer = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=list(names))
    return {group["AutoScalingGroupName"]: _group(group) for group in answer["AutoScalingGroups"]}


def _group(group: dict[str, Any]) -> Group:
    template = group.get("LaunchTemplate", {})
    return Group(
        name=group["AutoScalingGroupName"],
        minimum=group["MinSize"],
        maximum=group["MaxSize"],
        desired=group["DesiredCapacity"],
        instances=tuple(Listed(one["InstanceId"], one["AvailabilityZone"]) for one in group["Instances"]),
        launch_template_id=template.get("LaunchTemplateId", ""),
        launch_template_version=template.get("Version", "$Default"),
        health_check_type=group["HealthCheckType"],
    )


def launch(group: Group) -> Launch:
    """Return what an instance that is started now gets. Raise Unusable if that is no type or no role."""
    answer = aws.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=group.launch_template_id, Versions=[group.launch_template_version]
    )
    template = answer["LaunchTemplateVersions"][0]["LaunchTemplateData"] if answer["LaunchTemplateVersions"] else {}
    given = template.get("IamInstanceProfile", {})
    profile = given.get("Name") or last_part(given.get("Arn", ""))
    role_arn = _role(profile) if profile else None
    if role_arn is None or "InstanceType" not in template:
        raise Unusable(
            f"its launch template {group.launch_template_id} has no InstanceType, or no IamInstanceProfile with a role"
        )
    settings = _settings(template.get("UserData", ""))
    return Launch(template["InstanceType"], role_arn, settings, _drain_seconds(group.name))


def _role(profile: str) -> str | None:
    roles = aws.client("iam").get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Roles"]
    return roles[0]["Arn"] if roles else None


def _settings(user_data: str) -> dict[str, str]:
    found = _SETTINGS.search(base64.b64decode(user_data).decode())
    return dict(line.split("=", 1) for line in found[1].splitlines()) if found else {}


def _drain_seconds(name: str) -> float:
    """Return how long the group's hooks let an instance finish its work; 0 without a hook."""
    hooks = aws.client("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=name)["LifecycleHooks"]
    terminating = [hook for hook in hooks if hook["LifecycleTransition"].endswith("EC2_INSTANCE_TERMINATING")]
    return float(max((hook["HeartbeatTimeout"] for hook in terminating), default=0))


def set_desired(name: str, size: int) -> None:
    """Have the group be of a size; on ministack its list of instances is as long at once, shortened from its end."""
    aws.client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=size)
