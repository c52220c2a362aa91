"""Choose the AMI that a launch template starts: the newest of its role, as `bake_ami` tags it."""

from collections.abc import Mapping

from django.conf import settings

from botsite import aws
from deploy.cfn.cloudformation import StackError
from deploy.cfn.template import Template
from deploy.images import ami

# In the order in which the stacks want their images.
ROLES = ("polybot", "yolo5", "metrics")
_IMAGE_ID = "AWS::EC2::Image::Id"


class NoImage(StackError):
    """There is no AMI that machines of a role could start from."""

    def __init__(self, prefix: str, role: str) -> None:
        super().__init__(
            f"There is no image of {role} for {prefix} in {settings.AWS_REGION}. Make one, then run this again: "
            f"python manage.py bake_ami {role} --prefix {prefix}"
        )
        self.role = role


def newest(template: Template, given: Mapping[str, str]) -> dict[str, str]:
    """Return the newest image for each parameter that wants one ("Yolo5ImageId": that of yolo5) and has none given.

    Raise NoImage if there is none of that role.
    """
    wanted = [name for name, parameter in template.parameters.items() if parameter["Type"] == _IMAGE_ID]
    return {
        name: _newest(given["Prefix"], name.removesuffix("ImageId").lower()) for name in wanted if name not in given
    }


def missing(prefix: str) -> list[str]:
    """Return the roles that have no image to start from."""
    found = []
    for role in ROLES:
        try:
            _newest(prefix, role)
        except NoImage:
            found.append(role)
    return found


def _newest(prefix: str, role: str) -> str:
    if image := ami.newest(prefix, role):
        return image.id
    # Nothing starts at an emulator from an image, so any will do.
    if aws.emulated() and (image_id := _any()):
        return image_id
    raise NoImage(prefix, role)


def _any() -> str | None:
    conditions = [{"Name": "name", "Values": ["al2023-ami-2023*"]}]
    found = aws.client("ec2").describe_images(Owners=["amazon"], Filters=conditions)["Images"]
    return str(found[0]["ImageId"]) if found else None
