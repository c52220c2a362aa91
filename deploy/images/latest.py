"""Choose the AMI that each role's launch template starts: the newest one of the role, as `bake_ami` tags it."""

from collections.abc import Mapping

from django.conf import settings

from botsite import aws
from deploy.cfn.cloudformation import StackError
from deploy.images import ami
from deploy.service import Service

# Role -> the template parameter that takes its AMI, in the order of the stacks.
PARAMETERS = {"polybot": "PolybotImageId", "yolo5": "Yolo5ImageId", "metrics": "MetricsImageId"}


class NoImage(StackError):
    """A role has no AMI to start from."""

    def __init__(self, service: Service, role: str) -> None:
        super().__init__(
            f"{service} has no image of {role} in {settings.AWS_REGION}. Bake one, then run this again: "
            f"python manage.py bake_ami {role} --prefix {service}"
        )


def newest(service: Service, given: Mapping[str, str]) -> dict[str, str]:
    """Return the newest AMI for each parameter that isn't given; raise NoImage if a role has none."""
    found = known(service, given)
    for role, parameter in PARAMETERS.items():
        if parameter not in found and parameter not in given:
            raise NoImage(service, role)
    return found


def missing(service: Service, given: Mapping[str, str]) -> list[str]:
    """Return the roles that have no AMI, given or baked."""
    found = known(service, given)
    return [role for role, parameter in PARAMETERS.items() if parameter not in found and parameter not in given]


def known(service: Service, given: Mapping[str, str]) -> dict[str, str]:
    """Return the newest AMI for each parameter that isn't given, without the roles that have none."""
    found = {parameter: _newest(service, role) for role, parameter in PARAMETERS.items() if parameter not in given}
    return {parameter: image_id for parameter, image_id in found.items() if image_id}


def _newest(service: Service, role: str) -> str | None:
    image = ami.newest(service, role)
    return image.id if image else _any()


def _any() -> str | None:
    """Return some AMI at an emulator, where nothing is launched; None on AWS."""
    if not aws.emulated():
        return None
    conditions = [{"Name": "name", "Values": ["al2023-ami-2023*"]}]
    found = aws.client("ec2").describe_images(Owners=["amazon"], Filters=conditions)["Images"]
    return str(found[0]["ImageId"]) if found else None
