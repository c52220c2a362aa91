"""Read the launch templates of a deployed service: what its machines are started with."""

import base64
from typing import Any

from botsite import aws


def launched(prefix: str, role: str) -> dict[str, Any]:
    """Return the data of the role's launch template, as it was deployed."""
    found = aws.client("ec2").describe_launch_template_versions(
        LaunchTemplateName=f"{prefix}-{role}", Versions=["$Latest"]
    )
    data: dict[str, Any] = found["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    return data


def script(prefix: str, role: str) -> str:
    """Return what a machine of the role runs at its first start."""
    return base64.b64decode(launched(prefix, role)["UserData"]).decode()


def environment(prefix: str, role: str) -> dict[str, str]:
    """Return the settings that a machine of the role is given."""
    lines = script(prefix, role).partition("<<'END'\n")[2].partition("\nEND\n")[0].splitlines()
    return dict(line.partition("=")[::2] for line in lines)
