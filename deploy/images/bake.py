"""Bake the AMI of a role from beginning to end, and clean up however it ends."""

import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from botsite import aws
from deploy import interrupts
from deploy.images import ami, builder, bundle
from deploy.images.ami import Image, Say
from deploy.images.recipe import Place, Recipe


def bake(prefix: str, where: Place, recipe: Recipe, say: Say, weights: Path | None = None) -> Image:
    """Make the AMI of a role: launch a prototype, prove its container healthy, stop it, make the image of it.

    The prototype and what it was given are gone afterwards, whether this succeeds, fails or is interrupted.
    """
    for instance_id in builder.stale(prefix):
        say(f"ending {instance_id}, the prototype of a run that was cut off")
        builder.end([instance_id])
    folder = f"bakes/{recipe.role}-{uuid.uuid4()}"
    with _cleaned_up(prefix, where.bucket, folder) as launched:
        say(f"uploading the source to s3://{where.bucket}/{folder}")
        source = BytesIO(bundle.pack(weights))
        aws.client("s3").upload_fileobj(source, where.bucket, f"{folder}/source.tar.gz")
        instance_id = builder.launch(prefix, where, recipe, folder)
        launched.append(instance_id)
        say(f"launched the prototype {instance_id} ({recipe.machine})")
        builder.follow(instance_id, where, folder, say)
        say("stopping the prototype")
        builder.stop(instance_id)
        return ami.create(prefix, recipe.role, recipe.version, instance_id, say)


def prune(prefix: str, role: str, kept: int, say: Say) -> None:
    """Remove the role's AMIs beyond the newest `kept`, with their snapshots, unless something uses them."""
    for image in ami.spare(prefix, role, kept):
        ami.remove(image)
        say(f"removed the old image {image.id} ({image.name})")


@contextmanager
def _cleaned_up(prefix: str, bucket: str, folder: str) -> Iterator[list[str]]:
    """End the prototype and empty its folder when the block is left, also by Ctrl-C or SIGTERM.

    Yield a list for its instance id; one that was launched but not answered for is found by its tags.
    """
    launched: list[str] = []
    with interrupts.handled(signal.SIGTERM, handler=interrupts.as_ctrl_c):
        try:
            yield launched
        finally:
            # A second Ctrl-C would leave the prototype running.
            with interrupts.handled(signal.SIGINT, signal.SIGTERM, handler=signal.SIG_IGN):
                builder.end(launched or builder.of_folder(prefix, folder))
                aws.s3().Bucket(bucket).objects.filter(Prefix=f"{folder}/").delete()
