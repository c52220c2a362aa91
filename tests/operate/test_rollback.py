"""`rollback` goes to an earlier image, and `provision` keeps it until the next bake."""

import io
import json
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command

from botsite import aws
from deploy import provision, rollback
from deploy.images import ami
from deploy.images.ami import Image
from deploy.operate import machines
from deploy.rollback import Images
from deploy.service import Service
from tests.support import emulators, local_images
from tests.support.cases import slow_after
from tests.support.provisioning import Terminal

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An emulated AWS."""
    with emulators.ministack() as url:
        yield url


@pytest.fixture
def service(endpoint: str) -> Iterator[Service]:
    """A service whose workers run the second of two images, and whose sites have only one."""
    made = Service("rolled")
    ids = [local_images.register(made, "yolo5", f"1.{number}", Commit="0123456789abcdef-dirty") for number in (1, 2)]
    ids += [local_images.register(made, "polybot", "1.0")]
    provision.deploy(made)
    yield made
    for one in {*ids, *(image.id for image in ami.all_of(made))}:
        aws.client("ec2").deregister_image(ImageId=one)


def run(*arguments: str) -> str:
    """Run `rollback` and return what it printed."""
    output = io.StringIO()
    call_command("rollback", *arguments, "--prefix", "rolled", stdout=output)
    return output.getvalue()


def worker_image(service: Service) -> str:
    """Return the version that new workers start from."""
    started = local_images.started(service, "workers")
    return next(one.version for one in ami.all_of(service) if one.id == started)


def test_rollback_is_kept_by_provision_until_next_bake(service: Service) -> None:
    lines = run("yolo5", "--yes").splitlines()
    assert lines[0].startswith("yolo5: 1.2 (0123456-dirty, ")
    assert " -> 1.1 (0123456-dirty, " in lines[0]
    assert worker_image(service) == "1.1"
    said: list[str] = []
    done = provision.deploy(service, say=said.append)
    assert (worker_image(service), done["rolled-workers"]) == ("1.1", "unchanged")
    told = "yolo5 runs 1.1, rolled back from 1.2 by root"
    assert said == [told]
    assert machines._images(service) == {"yolo5": ("1.1", told), "polybot": ("1.0", "")}
    local_images.register(service, "yolo5", "1.3")
    provision.deploy(service)
    assert worker_image(service) == "1.3"
    assert rollback.in_force(service) == []


def test_rollback_of_all_leaves_out_roles_without_earlier_image(service: Service) -> None:
    done = json.loads(run("--yes", "--json"))
    assert list(done) == ["yolo5"]
    assert [done["yolo5"][end]["version"] for end in ("from", "to")] == ["1.2", "1.1"]


def test_newer_version_is_taken_back_by_name(service: Service) -> None:
    run("yolo5", "--yes")
    run("yolo5", "--to", "1.2", "--yes")
    assert worker_image(service) == "1.2"
    assert not any(one.withdrawn for one in ami.of_role(service, "yolo5"))


def test_interrupted_rollback_is_finished_by_provision(service: Service) -> None:
    (step,) = rollback.steps(service, ["yolo5"])
    ami.withdraw(step.withdrawn, "arn:aws:iam::1:user/anna")
    provision.deploy(service)
    assert worker_image(service) == "1.1"


@pytest.mark.slow
def test_deployed_template_stays_while_image_changes(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    before = service.stack("workers").parameters
    monkeypatch.setattr("deploy.stacks.TEMPLATES", None)
    run("yolo5", "--yes")
    after = service.stack("workers").parameters
    assert {name for name in after if after[name] != before[name]} == {"Yolo5ImageId"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    slow_after(
        2,
        [
            (["polybot", "--yes"], "polybot has no image before 1.0 "),
            (["yolo5", "--to", "9.9", "--yes"], r"yolo5 has no image 9\.9: python manage.py rollback --list"),
            (["yolo5", "--to", "1.2", "--yes"], r"yolo5 runs 1\.2 already"),
            (["metrics", "--yes"], "which was not baked for rolled"),
            (["yolo5"], "there is no terminal to ask on. Add --yes"),
        ],
    ),
)
def test_impossible_rollback_changes_nothing(service: Service, arguments: list[str], complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        run(*arguments)
    assert worker_image(service) == "1.2"
    assert not any(one.withdrawn for one in ami.all_of(service))


@pytest.mark.parametrize(("answer", "version"), slow_after(1, [("y\n", "1.1"), ("n\n", "1.2"), ("", "1.2")]))
def test_terminal_is_asked_once(service: Service, monkeypatch: pytest.MonkeyPatch, answer: str, version: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    with nullcontext() if version == "1.1" else pytest.raises(CommandError, match=r"^Nothing was changed\.$"):
        run("yolo5")
    assert worker_image(service) == version


def test_list_names_running_and_next_image(service: Service) -> None:
    lines = [line.split() for line in run("yolo5", "--list").splitlines()]
    assert [(line[0], line[1], line[2], line[-1]) for line in lines[1:]] == [
        ("yolo5", "1.2", "0123456-dirty", "runs"),
        ("yolo5", "1.1", "0123456-dirty", "next"),
    ]
    found = json.loads(run("--list", "--json"))
    assert found["metricStreamer"]["images"] == []
    assert found["yolo5"]["next"] == found["yolo5"]["images"][1]["image"]


def image(number: int, **tags: str) -> Image:
    """Return an image; the higher the number, the newer it is."""
    return Image(f"ami-{number}", f"n-{number}", f"1.{number}", f"2026-11-{number:02}T12:00:00.000Z", (), tags)


def test_withdrawn_images_are_passed_over() -> None:
    bad = {ami.WITHDRAWN: "2026-11-26T12:00:00Z", ami.WITHDRAWN_BY: "arn:aws:iam::1:user/anna"}
    found = [image(4, **bad), image(3), image(2, **bad), image(1)]
    assert Images("yolo5", "ami-3", found).before == image(1)
    assert Images("yolo5", "ami-1", found).before is None
    assert rollback.told("yolo5", found) == "yolo5 runs 1.3, rolled back from 1.4 by user/anna"
    assert rollback.told("yolo5", found[1:]) == ""


def test_image_with_another_standby_is_passed_over() -> None:
    """Its machines have a disk for one container, or for two."""
    found = [image(3, Standby="on"), image(2), image(1, Standby="on")]
    assert Images("metrics", "ami-3", found).before == image(1, Standby="on")
    assert Images("metrics", "ami-3", found).named("1.2") is None
    assert Images("metrics", "ami-2", found).before is None


def test_images_of_earlier_releases_have_no_tags_but_count() -> None:
    assert Images("yolo5", "ami-2", [image(2), image(1)]).before == image(1)
    assert image(20).age(NOW) == timedelta(days=6)
    assert Image("ami-1", "", "", "", ()).age(NOW) is None
