"""The roles' AMIs: make one from a stopped builder, find the newest, list what to prune."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botsite import aws
from deploy import patience
from deploy.cfn.cloudformation import StackError
from deploy.patience import Say
from deploy.service import Service

# A snapshot of a few gigabytes takes some minutes.
_IMAGE_SECONDS = 60 * 60
# The one in use, the previous one to roll back to, and one more.
KEPT = 3
# The tags of an image that somebody has rolled back from: when, and who (an ARN).
WITHDRAWN, WITHDRAWN_BY = "Withdrawn", "WithdrawnBy"
# Between two looks at EC2.
POLL_SECONDS = 3


@dataclass(frozen=True)
class Image:
    """An AMI of ours. `created` is ISO 8601, UTC, so that it sorts; images of older releases have fewer tags."""

    id: str
    name: str
    version: str
    created: str
    snapshots: tuple[str, ...]
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def withdrawn(self) -> bool:
        """Return whether somebody has rolled back from it."""
        return WITHDRAWN in self.tags

    @property
    def standby(self) -> bool:
        """Return whether it has a worker's container next to the metric's."""
        return self.tags.get("Standby") == "on"

    def age(self, now: datetime) -> timedelta | None:
        """Return how long ago it was made, None if EC2 doesn't say."""
        return now - datetime.fromisoformat(self.created) if self.created else None


def of_role(service: Service, role: str) -> list[Image]:
    """Return the role's usable AMIs, the newest first."""
    return _images(*service.tag_filters(Role=role), {"Name": "state", "Values": ["available"]})


def by_role(service: Service) -> dict[str, list[Image]]:
    """Return the usable AMIs of each role, the newest first, with one call."""
    found: dict[str, list[Image]] = {}
    for image in _images(*service.tag_filters(), {"Name": "state", "Values": ["available"]}):
        found.setdefault(image.tags.get("Role", ""), []).append(image)
    return found


def newest(service: Service, role: str) -> Image | None:
    """Return the role's newest AMI that nobody has rolled back from, None if there is none."""
    return next((one for one in of_role(service, role) if not one.withdrawn), None)


def create(
    service: Service, role: str, version: str, instance_id: str, say: Say, more: Mapping[str, str] | None = None
) -> Image:
    """Make an AMI from a stopped instance and wait until it can be launched, reporting progress.

    `more` are tags in addition to those of every image. A failure or an interrupt leaves no incomplete image behind.
    """
    name = f"{service}-{role}-{version}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    marks = service.tag_list(Role=role, Version=version, Name=name, **(more or {}))
    asked = {"InstanceId": instance_id, "Name": name, "Description": f"Object detection service: {role} {version}"}
    tags = [{"ResourceType": "image", "Tags": marks}]
    image_id = patience.make_once(
        lambda: str(aws.once("ec2").create_image(**asked, TagSpecifications=tags)["ImageId"]), lambda: _named(name)
    )
    try:
        image = _await(image_id, say)
        aws.client("ec2").create_tags(Resources=list(image.snapshots), Tags=marks)
    except BaseException:
        _remove(image_id, [one["SnapshotId"] for one in _snapshots(image_id)])
        raise
    return image


def spare(service: Service, role: str, kept: int) -> list[Image]:
    """Return the role's AMIs beyond the newest `kept` that nobody rolled back from, without those in use."""
    found = of_role(service, role)
    good = [one for one in found if not one.withdrawn][:kept]
    old = [one for one in found if one not in good]
    used = _used([one.id for one in old]) if old else set()
    return [one for one in old if one.id not in used]


def remove(image: Image) -> None:
    """Deregister an AMI and delete its snapshots."""
    _remove(image.id, image.snapshots)


def all_of(service: Service) -> list[Image]:
    """Return every AMI of the service, in any state."""
    return _images(*service.tag_filters())


def lone_snapshots(service: Service) -> list[str]:
    """Return the ids of the service's snapshots that belong to no AMI any more."""
    found = aws.client("ec2").describe_snapshots(OwnerIds=["self"], Filters=service.tag_filters())["Snapshots"]
    held = {snapshot for image in all_of(service) for snapshot in image.snapshots}
    return [one["SnapshotId"] for one in found if one["SnapshotId"] not in held]


def remove_snapshot(snapshot_id: str) -> None:
    """Delete a snapshot that belongs to no AMI."""
    aws.client("ec2").delete_snapshot(SnapshotId=snapshot_id)


def withdraw(images: Iterable[Image], who: str) -> None:
    """Have `newest` pass over these images from now on; those that were withdrawn before keep their tags."""
    new = [one.id for one in images if not one.withdrawn]
    marks = {WITHDRAWN: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", WITHDRAWN_BY: who[:256]}
    if new:
        tags = [{"Key": key, "Value": value} for key, value in marks.items()]
        aws.client("ec2").create_tags(Resources=new, Tags=tags)


def readmit(image: Image) -> None:
    """Have `newest` consider this image again."""
    if image.withdrawn:
        aws.client("ec2").delete_tags(Resources=[image.id], Tags=[{"Key": WITHDRAWN}, {"Key": WITHDRAWN_BY}])


def _await(image_id: str, say: Say) -> Image:
    deadline = time.monotonic() + _IMAGE_SECONDS
    told = ""
    while True:
        # By filter: a new id that EC2 doesn't know everywhere yet would be an error.
        found = aws.client("ec2").describe_images(Filters=[{"Name": "image-id", "Values": [image_id]}])["Images"]
        state = found[0]["State"] if found else "pending"
        if state == "available":
            return _image(found[0])
        if state != "pending" or time.monotonic() > deadline:
            reason = found[0].get("StateReason", {}).get("Message") if found else None
            raise StackError(f"The image {image_id} can't be used, it is {state}: {reason or 'EC2 gives no reason'}.")
        now = ", ".join(one.get("Progress") or "0%" for one in _snapshots(image_id)) or "begun"
        if now != told:
            say(f"making the image {image_id}: {now}")
            told = now
        aws.pause(POLL_SECONDS)


def _named(name: str) -> str | None:
    """Return the id of our AMI with this name, in any state."""
    return next((one.id for one in _images({"Name": "name", "Values": [name]})), None)


def _images(*conditions: dict[str, Any]) -> list[Image]:
    """Return our AMIs that match these filters, the newest first."""
    found = aws.client("ec2").describe_images(Owners=["self"], Filters=list(conditions))["Images"]
    return sorted(map(_image, found), key=lambda one: (one.created, one.id), reverse=True)


def _image(found: dict[str, Any]) -> Image:
    disks = [one["Ebs"]["SnapshotId"] for one in found["BlockDeviceMappings"] if "SnapshotId" in one.get("Ebs", {})]
    tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}
    return Image(found["ImageId"], found["Name"], version(found), found.get("CreationDate", ""), tuple(disks), tags)


def version(described: dict[str, Any]) -> str:
    """Return the version of an AMI as EC2 describes it, empty if it has none."""
    return next((str(tag["Value"]) for tag in described.get("Tags", []) if tag["Key"] == "Version"), "")


def _snapshots(image_id: str) -> list[dict[str, Any]]:
    """Return an image's snapshots, even while it is being made: EC2 puts the image into their descriptions."""
    condition = {"Name": "description", "Values": [f"*{image_id}*"]}
    return list(aws.client("ec2").describe_snapshots(OwnerIds=["self"], Filters=[condition])["Snapshots"])


def _used(image_ids: list[str]) -> set[str]:
    """Return those of the images that an instance runs or a launch template would start."""
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
