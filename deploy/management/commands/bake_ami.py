"""Bake the AMI that a role's instances start from."""

import re
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console

from botsite import roles
from deploy.images import ami, bake, builder, source, spec
from deploy.images.spec import BuilderPlace, ImageSpec
from deploy.management.base import StackCommand
from deploy.service import Service

# A container tag, without the characters that an AMI's name can't have.
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,80}")


class Command(StackCommand):
    """Bake a role's AMI on a builder instance; `--plan` shows what would be done."""

    help = (
        "Bake the AMI of a role: launch a builder from Amazon Linux 2023, run the role's container on it until it is "
        "healthy, make the image, terminate the builder, remove old images. Takes about 10 minutes."
    )

    interrupted = "Interrupted. The builder is terminated, and no image was made."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Make `--version` the image's, not Django's."""
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the role and where its container comes from."""
        super().add_arguments(parser)
        names = [one.short for one in roles.ROLES]
        parser.add_argument("role", type=_role, choices=names, help="which; metricStreamer is metrics here")
        parser.add_argument(
            "--image",
            default="",
            metavar="URI",
            help="container image to pull: from this account's ECR, or public (default: the builder builds it from "
            "this checkout, so you need neither a registry nor Docker)",
        )
        parser.add_argument(
            "--weights",
            type=Path,
            metavar="MODEL",
            help="for yolo5, instead of yolo11n: a .pt file, an exported NAME_openvino_model folder, YOLOX's .onnx "
            "file, or yolox_nano; all but the first are baked without PyTorch",
        )
        parser.add_argument(
            "--weights-sha256",
            default="",
            metavar="HEX",
            help="what the .pt file of --weights must have; nothing opens another one",
        )
        parser.add_argument(
            "--version", dest="bake_version", default="", help="version of the image (default: `git describe`)"
        )
        parser.add_argument(
            "--instance-type",
            default="",
            help="the builder's instance type (default: t3.medium, or t3.micro with --image)",
        )
        parser.add_argument(
            "--keep",
            type=int,
            default=ami.KEPT,
            metavar="N",
            help="images of the role to keep, without those that were rolled back from (default: %(default)s)",
        )
        parser.add_argument("--plan", action="store_true", help="print what would be done, and do nothing")

    def run(self, service: Service, **options: Any) -> None:
        """Plan or bake."""
        wanted, console = _spec(service, options), self.console()
        kept = options["keep"]
        where = spec.place(service)
        if options["plan"]:
            _print_plan(console, service, wanted, where, kept)
            return
        with console.status(f"Baking {wanted.role}") as status:

            def say(text: str) -> None:
                console.print(f"{wanted.role}: {text}", markup=False)
                status.update(text)

            made = bake.bake(service, where, wanted, say, options["weights"])
            say(f"made the image {made.id}")
            bake.prune(service, wanted.role, kept, say)
        console.print(f"{made.id} is {wanted.role} {made.version}. To start new instances from it, run:")
        console.print(f"  python manage.py provision --prefix {service}")


def _role(text: str) -> str:
    """Return the role's name in the names of images."""
    return roles.named(text).short


def _spec(service: Service, options: dict[str, Any]) -> ImageSpec:
    """Return what to bake; raise CommandError for options that contradict each other."""
    role, weights = options["role"], options["weights"]
    if options["keep"] < 1:
        raise CommandError("--keep must be at least 1: instances start from the newest image.")
    standby = role == roles.METRIC_STREAMER.short and spec.on_standby(service, {})
    if weights and not (standby or (role == roles.YOLO5.short and not options["image"])):
        raise CommandError(
            "--weights is only for yolo5, and only without --image: the weights are built into its container. (And for "
            "metrics with StandbyWorker=on, which has that container too.)"
        )
    version = options["bake_version"] or source.version()
    if not _VERSION.fullmatch(version):
        raise CommandError(f"--version {version!r} can't be a container tag: use letters, digits, dots and hyphens.")
    weights = options["weights"] = source.ready(weights)
    model = source.model(weights) if weights else ImageSpec.model
    sha256 = _checksum(weights, options["weights_sha256"])
    return ImageSpec(role, version, options["image"], model, options["instance_type"], sha256, standby)


def _checksum(weights: Path | None, named: str) -> str:
    """Return the SHA-256 of a `.pt` file, which the build compares; raise CommandError if another one was named."""
    if weights is None or weights.suffix != ".pt":
        if named:
            raise CommandError("--weights-sha256 is for --weights FILE.pt.")
        return ""
    found = source.sha256(weights)
    if named and found != named.lower():
        raise CommandError(f"{weights} has the SHA-256 {found}, and not {named}: nothing was baked.")
    return found


def _print_plan(console: Console, service: Service, wanted: ImageSpec, where: BuilderPlace, kept: int) -> None:
    origin = f"pulled from {wanted.image}" if wanted.image else f"built from this checkout, {wanted.version}"
    console.print(f"builder: {wanted.machine} from {builder.base_image()} in {where.subnet}", markup=False)
    console.print(f"container: {origin}", markup=False)
    current = ami.newest(service, wanted.role)
    console.print(f"newest image now: {f'{current.id} ({current.version})' if current else 'none'}", markup=False)
    # The new image counts as one of those kept.
    for old in ami.spare(service, wanted.role, kept - 1):
        console.print(f"would remove {old.id} ({old.name})", markup=False)
