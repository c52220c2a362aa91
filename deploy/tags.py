"""Say by tags what was made for which prefix, so that it is found again, and nothing else is taken for it."""

from typing import Any

MADE_BY = "object-detection-service"


def of(prefix: str, **more: str) -> dict[str, str]:
    """Return the tags of what is made for a prefix."""
    return {"Project": prefix, "ManagedBy": MADE_BY, **more}


def listed(prefix: str, **more: str) -> list[dict[str, str]]:
    """Return the tags in the form that ACM, EC2 and CloudFormation take."""
    return [{"Key": key, "Value": value} for key, value in of(prefix, **more).items()]


def filters(prefix: str, **more: str) -> list[dict[str, Any]]:
    """Return the tags as filters of EC2's describe calls."""
    return [{"Name": f"tag:{key}", "Values": [value]} for key, value in of(prefix, **more).items()]
