"""Bake the usual image of a role: from this checkout, with the default model."""

from collections.abc import Mapping, Sequence

from deploy.cfn.cloudformation import StackError
from deploy.images import ami, bake, latest, roles, source
from deploy.images.ami import Say
from deploy.images.roles import ImageSpec
from deploy.service import Service


def check(service: Service, wanted: Sequence[str], given: Mapping[str, str]) -> None:
    """Raise StackError for a role whose image is not the usual one: baking it again would replace what is inside."""
    for role in wanted:
        if (name := latest.PARAMETERS[role]) in given:
            raise StackError(f"--parameter {name} and --rebake of {role} exclude each other: take one of them.")
        image = ami.newest(service, role)
        if image and (command := _command(role, image.tags)):
            raise StackError(
                f"{image.version} of {role} is not what --rebake makes. Run this, then provision: {command}"
            )


def bake_role(service: Service, role: str, say: Say, bake_type: str = "") -> None:
    """Bake the image of a role, and remove those that nobody needs any more."""
    before = ami.newest(service, role)
    if before and role == "yolo5" and "Model" not in before.tags:
        say(f"{before.version} of yolo5 does not say which model it has; the new image has {ImageSpec.model}")
    wanted = ImageSpec(role, source.version(), instance_type=bake_type)
    bake.bake(service, roles.place(service), wanted, lambda text: say(f"{role}: {text}"))
    bake.prune(service, role, ami.KEPT, say)


def _command(role: str, tags: Mapping[str, str]) -> str:
    """Return the command that bakes an image with these tags again, empty if `provision` does."""
    if container := tags.get("Container"):
        return f"python manage.py bake_ami {role} --image {container}"
    if "WeightsSha256" in tags or tags.get("Model", ImageSpec.model) != ImageSpec.model:
        return f"python manage.py bake_ami {role} --weights PATH/OF/{tags.get('Model')}"
    return ""
