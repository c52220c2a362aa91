"""What a builder is launched with to bake a role's image."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from botsite import roles
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


def user_data(where: BuilderPlace, spec: ImageSpec, folder: str) -> str:
    """Return the script that the builder runs when it boots: its variables, then deploy/docker/bake.sh."""
    container = roles.named(spec.role).container
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
        "SWAP_MIB": str(container.swap_mib),
        "LIFETIME_MINUTES": str(LIFETIME_MINUTES),
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join(["#!/bin/bash", *lines, _SCRIPT.read_text()])
