"""Choose the AMI that each role's launch template starts: the newest one of the role, as `bake_ami` tags it.

A missing or old one is baked from this checkout, with the default model unless another is named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from django.conf import settings

from botsite import aws, roles
from botsite.roles import METRIC_STREAMER, YOLO5, named
from deploy.cfn.cloudformation import StackError
from deploy.images import ami, bake, source, spec
from deploy.images.ami import Image
from deploy.images.spec import ImageSpec
from deploy.patience import Say
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


def check_rebaking(
    service: Service, wanted: Sequence[str], given: Mapping[str, str], weights: Path | None = None
) -> None:
    """Raise StackError for a role whose image is not the usual one: baking it again would replace what is inside.

    Weights are named to replace the model.
    """
    if weights and (name := YOLO5.image_parameter) in given:
        raise StackError(f"--parameter {name} and --weights exclude each other: take one of them.")
    for role in wanted:
        if (name := named(role).image_parameter) in given:
            raise StackError(f"--parameter {name} and --rebake of {role} exclude each other: take one of them.")
        image = None if weights and role == YOLO5.short else ami.newest(service, role)
        if image and (command := _command(role, image.tags)):
            raise StackError(
                f"{image.version} of {role} is not what --rebake makes. Run this, then provision: {command}"
            )


def outdated(service: Service, weights: Path | None, given: Mapping[str, str]) -> list[str]:
    """Return the roles whose newest image lacks what is wanted: these weights, a worker on standby, or none."""
    standby = spec.on_standby(service, given)
    found = {role: ami.newest(service, role) for role in (YOLO5.short, METRIC_STREAMER.short)}
    inside = {role: image for role, image in found.items() if image and named(role).image_parameter not in given}
    with_model = [YOLO5.short] + [METRIC_STREAMER.short] * standby
    late = [role for role in with_model if weights and role in inside and not _has(inside[role], weights)]
    metric = inside.get(METRIC_STREAMER.short)
    other = metric is not None and metric.standby != standby
    return list(dict.fromkeys([*late, *([METRIC_STREAMER.short] if other else [])]))


def check_standby(service: Service, given: Mapping[str, str], weights: Path | None) -> None:
    """Raise StackError if a worker on standby would get another model than the group's."""
    model = (image.tags if (image := ami.newest(service, YOLO5.short)) else {}).get("Model", ImageSpec.model)
    if weights is None and model != ImageSpec.model and METRIC_STREAMER.short in outdated(service, None, given):
        raise StackError(
            f"The workers' image has the model {model}, and the worker on standby needs it too: add --weights with it."
        )


def _has(image: Image, weights: Path) -> bool:
    inside = image.tags.get("Model"), image.tags.get("WeightsSha256", "")
    return inside == (source.model(weights), source.sha256(weights))


def bake_role(
    service: Service,
    role: str,
    say: Say,
    bake_type: str = "",
    weights: Path | None = None,
    standby: bool = False,
) -> None:
    """Bake the image of a role, and remove those that nobody needs any more. The weights are for workers alone.

    With `standby`, the metric's has a worker's container too.
    """
    standby = standby and role == METRIC_STREAMER.short
    own = weights if standby or role == YOLO5.short else None
    before = ami.newest(service, role)
    if before and role == YOLO5.short and not own and "Model" not in before.tags:
        say(f"{before.version} of yolo5 does not say which model it has; the new image has {ImageSpec.model}")
    wanted = ImageSpec(role, source.version(), instance_type=bake_type, standby=standby)
    if own:
        wanted = replace(wanted, model=source.model(own), weights_sha256=source.sha256(own))
    bake.bake(service, spec.place(service), wanted, lambda text: say(f"{role}: {text}"), own)
    bake.prune(service, role, ami.KEPT, say)


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


def _command(role: str, tags: Mapping[str, str]) -> str:
    """Return the command that bakes an image with these tags again, empty if `provision` does."""
    if container := tags.get("Container"):
        return f"python manage.py bake_ami {role} --image {container}"
    if "WeightsSha256" in tags or tags.get("Model", ImageSpec.model) != ImageSpec.model:
        return f"python manage.py bake_ami {role} --weights PATH/OF/{tags.get('Model')}"
    return ""
