"""Read what a deployed service has on the emulated AWS."""

import base64
from typing import Any

from botsite import aws
from deploy import stacks
from deploy.service import Service


def statuses(prefix: str) -> dict[str, str]:
    """Return the status of each existing stack of the prefix."""
    found = [Service(prefix).find(part) for part in stacks.order()]
    return {stack.name: stack.status for stack in found if stack}


def launch_data(prefix: str, role: str) -> dict[str, Any]:
    """Return the data of the role's launch template."""
    found = aws.client("ec2").describe_launch_template_versions(
        LaunchTemplateName=f"{prefix}-{role}", Versions=["$Latest"]
    )
    data: dict[str, Any] = found["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    return data


def user_data(prefix: str, role: str) -> str:
    """Return the user data of a role's instance."""
    return base64.b64decode(launch_data(prefix, role)["UserData"]).decode()


def instance_settings(prefix: str, role: str) -> dict[str, str]:
    """Return the settings in a role's user data."""
    lines = user_data(prefix, role).partition("<<'END'\n")[2].partition("\nEND\n")[0].splitlines()
    pairs = (line.partition("=") for line in lines)
    return {name: value for name, _, value in pairs}
