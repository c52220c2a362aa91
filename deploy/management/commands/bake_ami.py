"""Make the AMI that a role's machines start from."""

import re
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console

from deploy.images import ami, bake, builder, bundle, recipe
from deploy.images.recipe import ROLES, Place, Recipe
from deploy.management.base import StackCommand

# What a tag of a container may be, less what the name of an AMI may not hold.
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,80}")


class Command(StackCommand):
    """Bake a role's AMI on a prototype instance; `--plan` shows what would be done instead."""

    help = (
        "Make the AMI of a role: launch a prototype from Amazon Linux 2023, run the role's container on it until it is "
        "healthy, make the image, end the prototype, remove old images. Takes about 10 minutes."
    )

    interrupted = "Interrupted. The prototype has been ended, and no image was made."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Let `--version` be the image's, not Django's."""
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the role and where its container comes from."""
        super().add_arguments(parser)
        parser.add_argument("role", choices=list(ROLES))
        parser.add_argument(
            "--image",
            default="",
            metavar="URI",
            help="a container image to pull, from ECR of this account by the prototype's role, or a public one; "
            "default: the prototype builds it from this checkout, so that no registry and no Docker here are needed",
        )
        parser.add_argument(
            "--weights",
            type=Path,
            help="yolo5: a .pt file or an exported NAME_openvino_model folder to build in, instead of yolo11n",
        )
        parser.add_argument("--version", dest="bake_version", default="", help="default: what `git describe` says")
        parser.add_argument(
            "--instance-type", default="", help="of the prototype; default: t3.medium, or t3.micro with --image"
        )
        parser.add_argument(
            "--keep", type=int, default=ami.KEPT, metavar="N", help="images of the role to keep (default: %(default)s)"
        )
        parser.add_argument("--plan", action="store_true", help="print what would be done, and do nothing")

    def run(self, **options: Any) -> None:
        """Plan or bake."""
        wanted, console = _recipe(options), self.console()
        prefix, kept = options["prefix"], options["keep"]
        where = recipe.place(prefix)
        if options["plan"]:
            _print_plan(console, prefix, wanted, where, kept)
            return
        with console.status(f"Baking {wanted.role}") as status:

            def say(text: str) -> None:
                console.print(f"{wanted.role}: {text}", markup=False)
                status.update(text)

            made = bake.bake(prefix, where, wanted, say, options["weights"])
            say(f"made the image {made.id}")
            bake.prune(prefix, wanted.role, kept, say)
        console.print(f"{made.id} is {wanted.role} {made.version}. New machines start from it after:")
        console.print(f"  python manage.py provision --prefix {prefix}")


def _recipe(options: dict[str, Any]) -> Recipe:
    """Return what the options ask for; raise CommandError for what contradicts itself."""
    role, weights = options["role"], options["weights"]
    if options["keep"] < 1:
        raise CommandError("--keep takes 1 or more: the newest image is the one that machines start from.")
    if weights and (role != "yolo5" or options["image"]):
        raise CommandError("--weights goes into the container of yolo5 when it is built, and into no other.")
    version = options["bake_version"] or bundle.version()
    if not _VERSION.fullmatch(version):
        raise CommandError(f"--version {version!r} is no tag of a container: use letters, digits, dots and hyphens.")
    model = bundle.model(weights) if weights else Recipe.model
    return Recipe(role, version, options["image"], model, options["instance_type"])


def _print_plan(console: Console, prefix: str, wanted: Recipe, where: Place, kept: int) -> None:
    source = f"pulled from {wanted.image}" if wanted.image else f"built on it from this checkout, {wanted.version}"
    console.print(f"prototype: {wanted.machine} from {builder.base_image()} in {where.subnet}", markup=False)
    console.print(f"container: {source}", markup=False)
    current = ami.newest(prefix, wanted.role)
    console.print(f"newest image now: {f'{current.id} ({current.version})' if current else 'none'}", markup=False)
    # The one that would be made counts as one of those kept.
    for old in ami.spare(prefix, wanted.role, kept - 1):
        console.print(f"would remove {old.id} ({old.name})", markup=False)
