"""Read what a group's instances are launched with, and set its desired capacity."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass

from botsite import aws
from metrics.cloudwatch import Group

# The settings file that user data writes: see UserData in deploy/cloudformation/workers.yaml.
_SETTINGS = re.compile(r"<<'END'\n(.*?)\nEND\n", re.DOTALL)


class Unusable(Exception):
    """A group cannot run as deployed; the text says why and what to do."""


@dataclass(frozen=True)
class Launch:
    """What an instance of the group is launched with."""

    instance_type: str
    role_arn: str
    settings: Mapping[str, str]
    # How long it may take to finish its work before it ends.
    drain_seconds: float
    image_id: str = ""


def launch(group: Group) -> Launch:
    """Return what an instance is launched with now. Raise Unusable if it has no type or no role."""
    answer = aws.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=group.launch_template.id, Versions=[group.launch_template.version or "$Default"]
    )
    template = answer["LaunchTemplateVersions"][0]["LaunchTemplateData"] if answer["LaunchTemplateVersions"] else {}
    given = template.get("IamInstanceProfile", {})
    profile = given.get("Name") or given.get("Arn", "").rpartition("/")[2]
    role_arn = _role(profile) if profile else None
    if role_arn is None or "InstanceType" not in template:
        raise Unusable(
            f"its launch template {group.launch_template.id} has no InstanceType, or no IamInstanceProfile with a role"
        )
    settings = _settings(template.get("UserData", ""))
    image = template.get("ImageId", "")
    return Launch(template["InstanceType"], role_arn, settings, _drain_seconds(group.name), image)


def _role(profile: str) -> str | None:
    roles = aws.client("iam").get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Roles"]
    return roles[0]["Arn"] if roles else None


def _settings(user_data: str) -> dict[str, str]:
    found = _SETTINGS.search(base64.b64decode(user_data).decode())
    return dict(line.split("=", 1) for line in found[1].splitlines()) if found else {}


def _drain_seconds(name: str) -> float:
    """Return how long the group's hooks let an instance finish its work; 0 if it has none."""
    hooks = aws.client("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=name)["LifecycleHooks"]
    terminating = [hook for hook in hooks if hook["LifecycleTransition"].endswith("EC2_INSTANCE_TERMINATING")]
    return float(max((hook["HeartbeatTimeout"] for hook in terminating), default=0))


def set_desired(name: str, size: int) -> None:
    """Resize a group; ministack's list of its instances changes at once, at its end."""
    aws.client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=size)


def terminate(instance_id: str) -> None:
    """Take an instance out of its group, which gets another one."""
    aws.client("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=instance_id, ShouldDecrementDesiredCapacity=False
    )


def refreshing(name: str) -> bool:
    """Return whether an instance refresh of the group is under way."""
    found = aws.client("autoscaling").describe_instance_refreshes(AutoScalingGroupName=name)["InstanceRefreshes"]
    return any(one["Status"] == "InProgress" for one in found)
