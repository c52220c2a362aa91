"""What a builder is launched with to bake a role's image."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from botsite import roles
from botsite.roles import Container
from deploy.service import Service

_SCRIPT = Path(__file__).parents[1] / "docker" / "bake.sh"
# A builder that nobody stops terminates itself after this time; a bake that takes longer has failed.
LIFETIME_MINUTES = 60


@dataclass(frozen=True)
class BuilderPlace:
    """Where builders run, and the bucket they report through."""

    subnet: str
    security_group: str
    profile: str
    bucket: str
    queue_url: str


@dataclass(frozen=True)
class ImageSpec:
    """What to bake. `image` is a container in a registry; if empty, the builder builds it from source.

    The checksum is that of a custom `.pt` file, which the build compares before it opens the file.
    """

    role: str
    version: str
    image: str = ""
    model: str = "yolo11n"
    instance_type: str = ""
    weights_sha256: str = ""
    # Whether it has a worker's container too, for the metric's machine.
    standby: bool = False

    @property
    def containers(self) -> tuple[Container, ...]:
        """Return how the containers of the image are run, that of its role first."""
        return (roles.named(self.role).container, *([roles.YOLO5.container] if self.standby else []))

    @property
    def builds_model(self) -> bool:
        """Return whether the builder puts a model inside."""
        return self.standby or (self.role == roles.YOLO5.short and not self.image)

    @property
    def disk_gib(self) -> int:
        """Return the size of the disk that holds them, in GiB."""
        return max(one.disk_gib for one in self.containers)

    @property
    def machine(self) -> str:
        """Return the builder's instance type: exporting the model needs more memory than any role."""
        return self.instance_type or ("t3.micro" if self.image else "t3.medium")


def place(service: Service) -> BuilderPlace:
    """Return where the service's builders run; raise StackError if a stack isn't deployed."""
    network, storage, bake = (service.stack(part).outputs for part in ("network", "storage", "bake"))
    return BuilderPlace(
        subnet=network["SubnetAId"],
        security_group=network["WorkersSecurityGroupId"],
        profile=bake["BakeProfileArn"],
        bucket=storage["ImagesBucketName"],
        queue_url=bake["BakeQueueUrl"],
    )


def on_standby(service: Service, given: Mapping[str, str]) -> bool:
    """Return whether a worker runs next to the metric, with these values and what was given before."""
    stack = None if "StandbyWorker" in given else service.find(roles.METRIC_STREAMER.part)
    return {**(stack.parameters if stack else {}), **given}.get("StandbyWorker") == "on"


def user_data(where: BuilderPlace, spec: ImageSpec, folder: str) -> str:
    """Return the script that the builder runs when it boots: its variables, then deploy/docker/bake.sh."""
    container, standby = spec.containers[0], roles.YOLO5.container
    variables = {
        "ROLE": spec.role,
        "VERSION": spec.version,
        "AWS_REGION": settings.AWS_REGION,
        "BUCKET": where.bucket,
        "FOLDER": folder,
        "QUEUE_URL": where.queue_url,
        "IMAGE": spec.image,
        "MODEL": spec.model,
        "WEIGHTS_SHA256": spec.weights_sha256,
        "PUBLISH": container.publish,
        "STOP_SECONDS": str(container.stop_seconds),
        "UNIT_STOP_SECONDS": str(container.unit_stop_seconds),
        "SWAP_MIB": str(max(one.swap_mib for one in spec.containers)),
        "STANDBY": "on" if spec.standby else "off",
        "STANDBY_STOP_SECONDS": str(standby.stop_seconds),
        "STANDBY_UNIT_STOP_SECONDS": str(standby.unit_stop_seconds),
        "LIFETIME_MINUTES": str(LIFETIME_MINUTES),
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join(["#!/bin/bash", *lines, _SCRIPT.read_text()])
