"""Bake the AMI of a role from start to end, and always clean up."""

import json
import signal
import uuid
from collections.abc import Iterable, Iterator
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

# The lists of what is inside an image's containers (SBOM), which its builder makes, and what their names end with.
_LISTED = {"objdet.json": "", "objdet-standby.json": "-standby"}


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
        found = {end: builder.read(where.bucket, f"{folder}/{name}") for name, end in _LISTED.items()}
        listed = {end: text for end, text in found.items() if text}
        say("stopping the builder")
        builder.stop(instance_id)
        made = ami.create(service, spec.role, spec.version, instance_id, say, _tags(spec, listed.values()))
        for end, text in listed.items():
            say(f"what is inside: {keep_listed(where.bucket, made.name + end, text)}")
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


def _tags(spec: ImageSpec, listed: Iterable[str]) -> dict[str, str]:
    """Return the tags that tell what was baked: the commit, or the registry's container; the model as it came out."""
    found = {"Container": spec.image[:256]} if spec.image else {"Commit": source.commit()}
    if spec.standby:
        found["Standby"] = "on"
    if spec.builds_model:
        found |= {"Model": spec.model, "WeightsSha256": spec.weights_sha256, "Precision": _precision(listed)}
    return {name: value for name, value in found.items() if value}


def keep_listed(bucket: str, name: str, listed: str) -> str:
    """Store the list under this name, for as long as the bucket lives; return its address."""
    key = f"sboms/{name}.json"
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=listed.encode(), ContentType="application/json")
    return f"s3://{bucket}/{key}"


def _precision(listed: Iterable[str]) -> str:
    """Return the precision of the model that a list names."""
    components: list[dict[str, Any]] = [one for text in listed for one in json.loads(text)["components"]]
    properties = [one for component in components for one in component.get("properties", [])]
    return next((str(one["value"]) for one in properties if one["name"] == "objdet:precision"), "")
