"""The AMIs of the roles: make one from a prototype at rest, find the newest, prune the old ones."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botsite import aws
from deploy import tags
from deploy.cfn.cloudformation import StackError

# A snapshot of a few gigabytes takes some minutes.
_IMAGE_SECONDS = 60 * 60
# The one in use, the one before it to go back to, and one more.
KEPT = 3
# Between two looks at EC2.
POLL_SECONDS = 3


Say = Callable[[str], None]


@dataclass(frozen=True)
class Image:
    """An AMI of ours. `created` is ISO 8601, UTC, so that it sorts."""

    id: str
    name: str
    version: str
    created: str
    snapshots: tuple[str, ...]


def of_role(prefix: str, role: str) -> list[Image]:
    """Return the role's usable AMIs, the newest first."""
    return _images(*tags.filters(prefix, Role=role), {"Name": "state", "Values": ["available"]})


def newest(prefix: str, role: str) -> Image | None:
    """Return the AMI that a launch template of the role is to start, None if none was baked yet."""
    return next(iter(of_role(prefix, role)), None)


def create(prefix: str, role: str, version: str, instance_id: str, say: Say) -> Image:
    """Make an AMI from a stopped instance and wait until it can be launched, saying how far it is.

    Whatever goes wrong, also an interrupt, leaves no half-made image.
    """
    ec2 = aws.client("ec2")
    name = f"{prefix}-{role}-{version}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    marks = tags.listed(prefix, Role=role, Version=version, Name=name)
    image_id: str = ec2.create_image(
        InstanceId=instance_id,
        Name=name,
        Description=f"Object detection service: {role} {version}",
        TagSpecifications=[{"ResourceType": "image", "Tags": marks}],
    )["ImageId"]
    try:
        image = _await(image_id, say)
        ec2.create_tags(Resources=list(image.snapshots), Tags=marks)
    except BaseException:
        _remove(image_id, [one["SnapshotId"] for one in _snapshots(image_id)])
        raise
    return image


def spare(prefix: str, role: str, kept: int) -> list[Image]:
    """Return the role's AMIs beyond the newest `kept` that nothing refers to."""
    old = of_role(prefix, role)[kept:]
    used = _used([one.id for one in old]) if old else set()
    return [one for one in old if one.id not in used]


def remove(image: Image) -> None:
    """Deregister an AMI and delete its snapshots."""
    _remove(image.id, image.snapshots)


def of_prefix(prefix: str) -> list[Image]:
    """Return every AMI of the prefix, whatever its role and state."""
    return _images(*tags.filters(prefix))


def lone_snapshots(prefix: str) -> list[str]:
    """Return the ids of the prefix's snapshots that no image has any more."""
    found = aws.client("ec2").describe_snapshots(OwnerIds=["self"], Filters=tags.filters(prefix))["Snapshots"]
    held = {snapshot for image in of_prefix(prefix) for snapshot in image.snapshots}
    return [one["SnapshotId"] for one in found if one["SnapshotId"] not in held]


def remove_snapshot(snapshot_id: str) -> None:
    """Delete a snapshot that no image has."""
    aws.client("ec2").delete_snapshot(SnapshotId=snapshot_id)


def delete(prefix: str) -> list[str]:
    """Remove every AMI of the prefix, whatever its role and state, and return their ids."""
    found = of_prefix(prefix)
    for image in found:
        remove(image)
    return [image.id for image in found]


def _await(image_id: str, say: Say) -> Image:
    deadline = time.monotonic() + _IMAGE_SECONDS
    told = ""
    while True:
        # By filter, because an id that EC2 does not know everywhere yet is an error.
        found = aws.client("ec2").describe_images(Filters=[{"Name": "image-id", "Values": [image_id]}])["Images"]
        state = found[0]["State"] if found else "pending"
        if state == "available":
            return _image(found[0])
        if state != "pending" or time.monotonic() > deadline:
            reason = found[0].get("StateReason", {}).get("Message") if found else None
            raise StackError(f"The image {image_id} is {state} and will not do: {reason or 'EC2 gives no reason'}.")
        now = ", ".join(one.get("Progress") or "0%" for one in _snapshots(image_id)) or "begun"
        if now != told:
            say(f"making the image {image_id}: {now}")
            told = now
        aws.pause(POLL_SECONDS)


def _images(*conditions: dict[str, Any]) -> list[Image]:
    """Return our AMIs under these conditions, the newest first."""
    found = aws.client("ec2").describe_images(Owners=["self"], Filters=list(conditions))["Images"]
    return sorted(map(_image, found), key=lambda one: (one.created, one.id), reverse=True)


def _image(found: dict[str, Any]) -> Image:
    marks = {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}
    disks = [one["Ebs"]["SnapshotId"] for one in found["BlockDeviceMappings"] if "SnapshotId" in one.get("Ebs", {})]
    return Image(found["ImageId"], found["Name"], marks.get("Version", ""), found.get("CreationDate", ""), tuple(disks))


def _snapshots(image_id: str) -> list[dict[str, Any]]:
    """Return the snapshots of an image, also of one that is not made yet; EC2 names the image in their descriptions."""
    condition = {"Name": "description", "Values": [f"*{image_id}*"]}
    return list(aws.client("ec2").describe_snapshots(OwnerIds=["self"], Filters=[condition])["Snapshots"])


def _used(image_ids: list[str]) -> set[str]:
    """Return those of the images that an instance runs, or that a launch template would start."""
    ec2, condition = aws.client("ec2"), {"Name": "image-id", "Values": image_ids}
    pages = ec2.get_paginator("describe_instances").paginate(Filters=[condition])
    used = {one["ImageId"] for page in pages for group in page["Reservations"] for one in group["Instances"]}
    templates = ec2.get_paginator("describe_launch_templates").paginate()
    for template in (one for page in templates for one in page["LaunchTemplates"]):
        versions = ec2.describe_launch_template_versions(
            LaunchTemplateId=template["LaunchTemplateId"], Versions=["$Latest", "$Default"]
        )["LaunchTemplateVersions"]
        used |= {one["LaunchTemplateData"].get("ImageId", "") for one in versions}
    return used


def _remove(image_id: str, snapshots: Iterable[str]) -> None:
    ec2 = aws.client("ec2")
    ec2.deregister_image(ImageId=image_id)
    for snapshot in snapshots:
        ec2.delete_snapshot(SnapshotId=snapshot)
