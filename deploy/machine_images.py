"""Choose the AMI that a launch template starts: the newest of its role, as `bake_ami` tags it."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from botsite import aws
from deploy.cfn import StackError
from deploy.template import Template

_IMAGE_ID = "AWS::EC2::Image::Id"


def newest(template: Template, given: Mapping[str, str]) -> dict[str, str]:
    """Return the newest image for each parameter that wants one ("Yolo5ImageId": that of yolo5) and has none given.

    Raise StackError if there is no image of that role.
    """
    wanted = [name for name, parameter in template.parameters.items() if parameter["Type"] == _IMAGE_ID]
    return {name: _newest(name.removesuffix("ImageId").lower()) for name in wanted if name not in given}


def _newest(role: str) -> str:
    found = _images("self", **{"tag:Role": role})
    if not found and settings.AWS_ENDPOINT_URL:
        # Nothing starts there from an image, so any will do.
        found = _images("amazon", name="al2023-ami-2023*")
    if not found:
        raise StackError(
            f"There is no image of {role} in {settings.AWS_REGION}. Make one with `python manage.py bake_ami {role}`, "
            "then run this again."
        )
    return str(max(found, key=lambda image: image.get("CreationDate", ""))["ImageId"])


def _images(owner: str, **filters: str) -> list[dict[str, Any]]:
    conditions = [{"Name": name, "Values": [value]} for name, value in filters.items()]
    conditions.append({"Name": "state", "Values": ["available"]})
    images: list[dict[str, Any]] = aws.client("ec2").describe_images(Owners=[owner], Filters=conditions)["Images"]
    return images
