"""Images are waited for, found by role and prefix, and pruned."""

from collections.abc import Callable
from typing import Any

import pytest

from botsite import aws
from deploy.cfn.cloudformation import StackError
from deploy.images import ami, bake
from deploy.images.ami import Image
from deploy.images.spec import BuilderPlace
from deploy.service import Service
from tests.support.baking import an_image, left, silent, stopped


class SlowEc2:
    """A slower emulated EC2: its next answers have these images and snapshots."""

    def __init__(self, images: list[dict[str, Any]], snapshots: list[dict[str, Any]]) -> None:
        self._ec2, self._images, self._snapshots = aws.client("ec2"), images, snapshots

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ec2, name)

    def describe_images(self, **which: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._ec2.describe_images(**which)
        return {"Images": [answer["Images"][0] | self._images.pop(0)]} if self._images else answer

    def describe_snapshots(self, **which: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._ec2.describe_snapshots(**which)
        return {"Snapshots": [answer["Snapshots"][0] | self._snapshots.pop(0)]} if self._snapshots else answer


@pytest.fixture
def slow(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that makes EC2 answer like that first."""
    client = aws.client

    def answer(*images: dict[str, Any], snapshots: list[dict[str, Any]]) -> None:
        ec2 = SlowEc2(list(images), snapshots)
        monkeypatch.setattr(aws, "client", lambda service: ec2 if service == "ec2" else client(service))

    return answer


def test_slow_image_is_waited_for_and_reported(prefix: str, slow: Callable[..., None]) -> None:
    instance, said = stopped(), list[str]()
    pending = {"State": "pending"}
    slow(pending, pending, pending, snapshots=[{"Progress": ""}, {"Progress": "40%"}, {"Progress": "40%"}])
    image = ami.create(Service(prefix), "yolo5", "v1", instance, said.append)
    assert said == [f"making the image {image.id}: 0%", f"making the image {image.id}: 40%"]


def test_failed_image_is_removed_and_its_reason_shown(prefix: str, slow: Callable[..., None]) -> None:
    instance = stopped()
    slow({"State": "failed", "StateReason": {"Message": "the disk is gone"}}, snapshots=[])
    with pytest.raises(StackError, match="can't be used, it is failed: the disk is gone"):
        ami.create(Service(prefix), "yolo5", "v1", instance, silent)
    assert ami.newest(Service(prefix), "yolo5") is None


@pytest.mark.slow
def test_interrupt_during_image_creation_removes_image(
    prefix: str, place: BuilderPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(image_id: str, say: object) -> Image:
        raise KeyboardInterrupt

    monkeypatch.setattr(ami, "_await", interrupt)
    before = len(aws.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"])
    with pytest.raises(KeyboardInterrupt):
        an_image(prefix, "v1")
    assert left(prefix) == ([], [], [])
    assert len(aws.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]) == before


def test_newest_image_depends_on_role_and_prefix(prefix: str, place: BuilderPlace) -> None:
    an_image(prefix, "v1")
    newer = an_image(prefix, "v2")
    an_image(prefix, "v3", role="polybot")
    an_image(f"{prefix}-other", "v4")
    assert ami.of_role(Service(prefix), "yolo5")[0].version in ("v1", "v2")
    assert {one.version for one in ami.of_role(Service(prefix), "yolo5")} == {"v1", "v2"}
    assert newer in ami.of_role(Service(prefix), "yolo5")
    assert ami.newest(Service(prefix), "metrics") is None


def test_pruning_keeps_newest_images_and_removes_snapshots(prefix: str, place: BuilderPlace) -> None:
    for number in range(3):
        an_image(prefix, f"v{number}")
    kept, *old = ami.of_role(Service(prefix), "yolo5")
    bake.prune(Service(prefix), "yolo5", 1, silent)
    assert ami.of_role(Service(prefix), "yolo5") == [kept]
    ids = {one["SnapshotId"] for one in aws.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert ids.isdisjoint({snapshot for image in old for snapshot in image.snapshots})


def test_pruning_keeps_images_in_use(prefix: str, place: BuilderPlace) -> None:
    for number in range(4):
        an_image(prefix, f"v{number}")
    kept, free, running, templated = ami.of_role(Service(prefix), "yolo5")
    ec2 = aws.client("ec2")
    ec2.run_instances(ImageId=running.id, MinCount=1, MaxCount=1)
    ec2.create_launch_template(LaunchTemplateName=prefix, LaunchTemplateData={"ImageId": templated.id})
    bake.prune(Service(prefix), "yolo5", 1, silent)
    assert ami.of_role(Service(prefix), "yolo5") == [kept, running, templated]
    assert free not in ami.of_role(Service(prefix), "yolo5")


def test_images_of_other_services_are_not_removed(prefix: str) -> None:
    mine = {an_image(prefix, "v1").id, an_image(prefix, "v1", role="polybot").id}
    other = an_image(f"{prefix}-other", "v1")
    for image in ami.all_of(Service(prefix)):
        assert image.id in mine
        ami.remove(image)
    assert (ami.newest(Service(prefix), "polybot"), ami.newest(Service(f"{prefix}-other"), "yolo5")) == (None, other)
