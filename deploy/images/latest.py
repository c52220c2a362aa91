"""Choose the AMI that each role's launch template starts: the newest one of the role, as `bake_ami` tags it."""

from collections.abc import Mapping

from django.conf import settings

from botsite import aws, roles
from deploy.cfn.cloudformation import StackError
from deploy.images import ami
from deploy.service import Service


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
    if lacking := _lacking(found, given):
        raise NoImage(service, lacking[0])
    return found


def missing(service: Service, given: Mapping[str, str]) -> list[str]:
    """Return the roles that have no AMI, given or baked."""
    return _lacking(known(service, given), given)


def known(service: Service, given: Mapping[str, str]) -> dict[str, str]:
    """Return the newest AMI for each parameter that isn't given, without the roles that have none."""
    wanted = {role.image_parameter: role.short for role in roles.ROLES if role.image_parameter not in given}
    found = {parameter: _newest(service, role) for parameter, role in wanted.items()}
    return {parameter: image_id for parameter, image_id in found.items() if image_id}


def _lacking(*known: Mapping[str, str]) -> list[str]:
    return [role.short for role in roles.ROLES if not any(role.image_parameter in one for one in known)]


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
