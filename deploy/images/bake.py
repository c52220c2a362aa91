"""Bake the AMI of a role from start to end, and always clean up."""

import json
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from botsite import aws
from deploy import interrupts
from deploy.images import ami, builder, source
from deploy.images.ami import Image
from deploy.images.spec import BuilderPlace, ImageSpec
from deploy.patience import Say
from deploy.service import Service

# The list of what is inside an image (SBOM), which its builder makes.
_LISTED = "sbom.json"


def bake(service: Service, where: BuilderPlace, spec: ImageSpec, say: Say, weights: Path | None = None) -> Image:
    """Bake the AMI of a role: launch a builder, wait until its container is healthy, stop it, make an image of it.

    The builder is always terminated, even on failure, and its files are deleted.
    """
    for instance_id in builder.stale(service):
        say(f"terminating {instance_id}, the builder of an interrupted run")
        builder.end([instance_id])
    folder = f"bakes/{spec.role}-{uuid.uuid4()}"
    with _cleaned_up(service, where.bucket, folder) as launched:
        say(f"uploading the source to s3://{where.bucket}/{folder}")
        packed = BytesIO(source.pack(weights))
        aws.client("s3").upload_fileobj(packed, where.bucket, f"{folder}/source.tar.gz")
        instance_id = builder.launch(service, where, spec, folder)
        launched.append(instance_id)
        say(f"launched the builder {instance_id} ({spec.machine})")
        builder.follow(instance_id, where, folder, say)
        listed = builder.read(where.bucket, f"{folder}/{_LISTED}")
        say("stopping the builder")
        builder.stop(instance_id)
        made = ami.create(service, spec.role, spec.version, instance_id, say, _tags(spec, listed))
        if listed:
            say(f"what is inside: {keep_listed(where.bucket, made.name, listed)}")
        return made


def prune(service: Service, role: str, kept: int, say: Say) -> None:
    """Remove the role's AMIs beyond the newest `kept`, with their snapshots, unless they are in use."""
    for image in ami.spare(service, role, kept):
        ami.remove(image)
        say(f"removed the old image {image.id} ({image.name})")


@contextmanager
def _cleaned_up(service: Service, bucket: str, folder: str) -> Iterator[list[str]]:
    """Terminate the builder and delete its folder when the block ends, even by Ctrl-C or SIGTERM.

    Yield a list for its instance id; an instance whose launch was not answered is found by its tags.
    """
    launched: list[str] = []
    with interrupts.handled(signal.SIGTERM, handler=interrupts.as_ctrl_c):
        try:
            yield launched
        finally:
            # A second Ctrl-C would leave the builder running.
            with interrupts.handled(signal.SIGINT, signal.SIGTERM, handler=signal.SIG_IGN):
                builder.end(launched or builder.of_folder(service, folder))
                aws.s3().Bucket(bucket).objects.filter(Prefix=f"{folder}/").delete()


def _tags(spec: ImageSpec, listed: str | None) -> dict[str, str]:
    """Return the tags that tell what was baked: the commit, or the registry's container; the model as it came out."""
    found = {"Container": spec.image[:256]} if spec.image else {"Commit": source.commit()}
    if spec.standby:
        found["Standby"] = "on"
    if spec.builds_model:
        found |= {"Model": spec.model, "WeightsSha256": spec.weights_sha256, "Precision": _precision(listed)}
    return {name: value for name, value in found.items() if value}


def keep_listed(bucket: str, image_name: str, listed: str) -> str:
    """Store the list under the image's name, for as long as the bucket lives; return its address."""
    key = f"sboms/{image_name}.json"
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=listed.encode(), ContentType="application/json")
    return f"s3://{bucket}/{key}"


def _precision(listed: str | None) -> str:
    """Return the precision of the model that the list names."""
    components: list[dict[str, Any]] = json.loads(listed)["components"] if listed else []
    properties = [one for component in components for one in component.get("properties", [])]
    return next((str(one["value"]) for one in properties if one["name"] == "objdet:precision"), "")
