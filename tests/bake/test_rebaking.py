"""`provision --rebake` bakes the usual images again, and no image with something else inside."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from botsite import roles
from deploy.cfn.cloudformation import StackError
from deploy.images import ami, bake, latest, source, spec
from deploy.images.spec import BuilderPlace
from deploy.service import Service
from tests.support.baking import Boot, an_image, silent, stopped

# Given, because moto has no stacks of ours to keep it.
OFF = {"StandbyWorker": "off"}


def baked_with(prefix: str, tags: Mapping[str, str], role: str = "yolo5") -> None:
    """Make an image with these tags."""
    ami.create(Service(prefix), role, "v1", stopped(), silent, tags)


@pytest.mark.parametrize(
    ("role", "tags", "command"),
    [
        ("yolo5", {"Model": "mine", "WeightsSha256": "abc"}, "bake_ami yolo5 --weights PATH/OF/mine"),
        ("yolo5", {"Model": "yolo11n", "WeightsSha256": "abc"}, "bake_ami yolo5 --weights PATH/OF/yolo11n"),
        ("polybot", {"Container": "registry/site:v2"}, "bake_ami polybot --image registry/site:v2"),
    ],
)
def test_own_model_or_container_is_not_replaced(
    prefix: str, place: BuilderPlace, role: str, tags: Mapping[str, str], command: str
) -> None:
    baked_with(prefix, tags, role)
    with pytest.raises(StackError, match=f"python manage.py {command}$"):
        latest.check_rebaking(Service(prefix), [role], {})


@pytest.mark.parametrize("tags", [{}, {"Commit": "abc", "Model": "yolo11n", "Precision": "fp16"}])
def test_usual_images_may_be_baked_again(prefix: str, place: BuilderPlace, tags: Mapping[str, str]) -> None:
    baked_with(prefix, tags)
    latest.check_rebaking(Service(prefix), [role.short for role in roles.ROLES], {})
    with pytest.raises(StackError, match="Yolo5ImageId and --rebake of yolo5 exclude each other"):
        latest.check_rebaking(Service(prefix), ["yolo5"], {"Yolo5ImageId": "ami-1"})


def exported(tmp_path: Path, name: str) -> Path:
    """Return what passes for an exported model."""
    folder = tmp_path / f"{name}_openvino_model"
    folder.mkdir()
    (folder / "metadata.yaml").touch()
    return folder


def test_named_weights_replace_own_model(prefix: str, place: BuilderPlace, tmp_path: Path) -> None:
    weights = exported(tmp_path, "yolox_nano")
    assert latest.outdated(Service(prefix), weights, OFF) == []
    baked_with(prefix, {"Model": "mine", "WeightsSha256": "abc"})
    latest.check_rebaking(Service(prefix), ["yolo5"], {}, weights)
    assert latest.outdated(Service(prefix), weights, OFF) == ["yolo5"]
    assert latest.outdated(Service(prefix), None, OFF) == []
    with pytest.raises(StackError, match="Yolo5ImageId and --weights exclude each other"):
        latest.check_rebaking(Service(prefix), [], {"Yolo5ImageId": "ami-1"}, weights)


@pytest.mark.slow
def test_named_weights_are_baked_once(
    prefix: str, place: BuilderPlace, boot: Boot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(spec, "place", lambda service: place)
    machine, weights = boot(prefix), exported(tmp_path, "yolox_nano")
    latest.bake_role(Service(prefix), "yolo5", silent, weights=weights)
    image = ami.newest(Service(prefix), "yolo5")
    assert image is not None
    assert image.tags["Model"] == "yolox_nano"
    assert any("MODEL=yolox_nano" in command for command in machine.commands)
    assert latest.outdated(Service(prefix), weights, OFF) == []


def test_rebake_makes_newest_image_and_prunes(
    prefix: str, place: BuilderPlace, boot: Boot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spec, "place", lambda service: place)
    old = [an_image(prefix, f"v{number}").id for number in range(3)]
    boot(prefix)
    said: list[str] = []
    latest.bake_role(Service(prefix), "yolo5", said.append)
    found = ami.of_role(Service(prefix), "yolo5")
    assert (len(found), found[0].version) == (ami.KEPT, source.version())
    assert {one.id for one in found[1:]} < set(old)
    assert said[0].endswith("does not say which model it has; the new image has yolo11n")


def test_images_rolled_back_from_do_not_count_as_kept(prefix: str, place: BuilderPlace) -> None:
    for number in range(4):
        an_image(prefix, f"v{number}")
    bad, *good = ami.of_role(Service(prefix), "yolo5")
    ami.withdraw([bad], "arn:aws:iam::1:user/anna")
    assert ami.newest(Service(prefix), "yolo5") == good[0]
    bake.prune(Service(prefix), "yolo5", 2, silent)
    assert ami.of_role(Service(prefix), "yolo5") == good[:2]


@pytest.mark.parametrize(
    ("tags", "wanted", "baked"),
    [
        ({}, "off", []),
        ({}, "on", ["metrics"]),
        ({"Standby": "on"}, "on", []),
        # Its disk would not fit.
        ({"Standby": "on"}, "off", ["metrics"]),
    ],
)
def test_metric_image_has_worker_only_with_standby(
    prefix: str,
    place: BuilderPlace,
    tags: Mapping[str, str],
    wanted: str,
    baked: list[str],
) -> None:
    baked_with(prefix, tags, "metrics")
    assert latest.outdated(Service(prefix), None, {"StandbyWorker": wanted}) == baked
    given = {"StandbyWorker": wanted, "MetricsImageId": "ami-1"}
    assert latest.outdated(Service(prefix), None, given) == []


def test_standby_never_gets_another_model_than_the_workers(prefix: str, place: BuilderPlace, tmp_path: Path) -> None:
    weights, wanted = exported(tmp_path, "mine"), {"StandbyWorker": "on"}
    baked_with(prefix, {"Model": "mine"})
    baked_with(prefix, {}, "metrics")
    with pytest.raises(StackError, match="has the model mine, and the worker on standby needs it too: add --weights"):
        latest.check_standby(Service(prefix), wanted, None)
    latest.check_standby(Service(prefix), wanted, weights)
    assert "metrics" in latest.outdated(Service(prefix), weights, wanted)
