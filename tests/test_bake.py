"""`bake_ami` from start to end on moto, the only emulator that makes images. See builders.py for its builders."""

import io
import os
import shlex
import signal
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from botsite import aws
from deploy.cfn.cloudformation import StackError
from deploy.images import ami, bake, builder, roles, source
from deploy.images.ami import Image
from deploy.images.roles import ImageSpec, Place
from deploy.service import Service
from tests.support import emulators
from tests.support.builders import Machine

pytestmark = pytest.mark.long

WEB = ImageSpec("polybot", "v1", image="111111111111.dkr.ecr.us-east-1.amazonaws.com/objdet-polybot:v1")
ROOT = Path(__file__).parents[1]
Boot = Callable[..., Machine]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An emulated EC2 for this module."""
    with emulators.moto() as url:
        yield url


@pytest.fixture
def prefix(endpoint: str, request: pytest.FixtureRequest) -> str:
    """A prefix for this test: tests share the emulator, but nothing in it."""
    return f"try-{zlib.crc32(request.node.name.encode())}"


@pytest.fixture
def place(prefix: str) -> Place:
    """Where the test's builders run."""
    return place_of(prefix)


@pytest.fixture
def boot(endpoint: str, tmp_path: Path) -> Iterator[Boot]:
    """Return a function that boots the next launched instance."""
    machines: list[Machine] = []

    def start(prefix: str, broken: str = "") -> Machine:
        machines.append(Machine(prefix, tmp_path / f"machine-{len(machines)}", endpoint, broken))
        machines[-1].start()
        return machines[-1]

    yield start
    for machine in machines:
        machine.stop()


@dataclass(frozen=True)
class Baked:
    """A successful bake: its prefix, image, output and builder."""

    prefix: str
    image: Image
    said: list[str]
    machine: Machine


def baked(prefix: str, what: ImageSpec, endpoint: str, root: Path) -> Baked:
    """Bake from start to end."""
    machine, said = Machine(prefix, root, endpoint), list[str]()
    machine.start()
    image = bake.bake(Service(prefix), place_of(prefix), what, said.append)
    machine.stop()
    return Baked(prefix, image, said, machine)


@pytest.fixture(scope="module")
def built(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Baked:
    """A worker baked from source, for tests that only read."""
    return baked("built", ImageSpec("yolo5", "v1"), endpoint, tmp_path_factory.mktemp("built") / "machine")


@pytest.fixture(scope="module")
def pulled(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Baked:
    """A site baked from a registry's image, for tests that only read."""
    return baked("pulled", WEB, endpoint, tmp_path_factory.mktemp("pulled") / "machine")


def place_of(prefix: str) -> Place:
    """Return where builders run, which the stacks would provide if moto could deploy them."""
    aws.client("s3").create_bucket(Bucket=f"{prefix}-images")
    iam = aws.client("iam")
    # On a busy machine boto3 may retry although the emulator has created the profile.
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_instance_profile(InstanceProfileName=prefix)
    profile = iam.get_instance_profile(InstanceProfileName=prefix)["InstanceProfile"]
    ec2 = aws.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    return Place(subnet, group, profile["Arn"], f"{prefix}-images", "http://sqs/bake")


def silent(text: str) -> None:
    """Ignore a line."""


def launched(prefix: str) -> list[dict[str, Any]]:
    """Return all builders that were launched for a prefix."""
    found = aws.client("ec2").describe_instances(Filters=[{"Name": "tag:Project", "Values": [prefix]}])
    return [one for group in found["Reservations"] for one in group["Instances"]]


def left(prefix: str) -> tuple[list[str], list[str], list[Image]]:
    """Return what is left: running builders, objects in the bucket, images."""
    alive = [one["InstanceId"] for one in launched(prefix) if one["State"]["Name"] != "terminated"]
    objects = [one["Key"] for one in aws.client("s3").list_objects_v2(Bucket=f"{prefix}-images").get("Contents", [])]
    return alive, objects, [image for role in roles.ROLES for image in ami.of_role(Service(prefix), role)]


def an_image(prefix: str, version: str, role: str = "yolo5") -> Image:
    """Make an image of some instance, without a bake."""
    return ami.create(Service(prefix), role, version, stopped(), silent)


def stopped() -> str:
    """Return the id of some stopped instance."""
    ec2 = aws.client("ec2")
    made = ec2.run_instances(ImageId=builder.base_image(), MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    ec2.stop_instances(InstanceIds=[made])
    return str(made)


# --------------------------------------------------------------------------------------------- a good end


def test_bake_leaves_only_an_image(built: Baked) -> None:
    assert ami.newest(Service(built.prefix), "yolo5") == built.image
    assert left(built.prefix) == ([], [], [built.image])
    assert (built.image.version, len(built.image.snapshots)) == ("v1", 1)
    found = aws.client("ec2").describe_snapshots(SnapshotIds=list(built.image.snapshots))["Snapshots"][0]
    assert {"Key": "Project", "Value": built.prefix} in found["Tags"]


def test_bake_reports_each_step(built: Baked) -> None:
    said = [text for text in built.said if " s3://" not in text and " i-" not in text]
    steps = [
        "booting",
        "installing docker",
        "making a swap file",
        "fetching the source",
        "building the container",
        "starting the container",
    ]
    steps += ["waiting for the container to be healthy", "killing the container, to see it come back"]
    steps += ["tidying up", "ready", "stopping the builder"]
    # Polling misses short steps.
    assert [step for step in steps if step in said] == said
    assert said[-2:] == ["ready", "stopping the builder"]


def test_builder_checks_container_restarts(built: Baked) -> None:
    other = ("shutdown", "dnf", "sync", "fallocate", "mkswap", "swapon")
    told = [line for line in built.machine.commands if not line.startswith(other)]
    build = told.pop(1)
    assert build.startswith("docker build --progress plain --build-arg MODEL=yolo11n --tag objdet-yolo5:v1 --file ")
    inspect = "docker inspect --format {{.Id}} {{.State.Health.Status}} objdet"
    assert told == [
        "systemctl enable --now docker",
        "docker builder prune --all --force",
        "systemctl daemon-reload",
        "systemctl enable objdet.service",
        "systemctl start objdet.service",
        inspect,
        "docker kill objdet",
        inspect,
        "systemctl stop objdet.service",
        "docker volume rm objdet",
    ]


def test_image_contains_no_settings(pulled: Baked) -> None:
    root, docker = pulled.machine.root, ROOT / "deploy" / "docker"
    installed = {
        "etc/systemd/system/objdet.service": (docker / "objdet.service").read_text(),
        "usr/local/bin/objdet-run": (docker / "run.sh").read_text(),
        "etc/objdet/role": "IMAGE=objdet-polybot:v1\nPUBLISH=8000:8000\nSTOP_SECONDS=105\n",
        "etc/systemd/system/objdet.service.d/role.conf": "[Service]\nTimeoutStopSec=115\n",
    }
    assert {name: (root / name).read_text() for name in installed} == installed
    assert [path.name for path in (root / "etc" / "objdet").iterdir()] == ["role"]
    assert not (root / "var" / "tmp" / "objdet").exists()


def test_only_worker_gets_swap(built: Baked, pulled: Baked) -> None:
    file = built.machine.root / "swapfile"
    swapping = [line for line in built.machine.commands if line.startswith(("fallocate", "mkswap", "swapon"))]
    assert swapping == [f"fallocate --length 1024MiB {file}", f"mkswap {file}", f"swapon {file}"]
    assert (built.machine.root / "etc" / "fstab").read_text() == "/swapfile none swap defaults 0 0\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert not (pulled.machine.root / "etc" / "fstab").exists()


def test_registry_image_is_pulled_and_login_removed(pulled: Baked) -> None:
    assert [line for line in pulled.machine.commands if line.startswith("docker")][:3] == [
        f"docker login --username AWS --password-stdin {WEB.image.partition('/')[0]}",
        f"docker pull --quiet {WEB.image}",
        f"docker tag {WEB.image} objdet-polybot:v1",
    ]
    assert (pulled.machine.root / "password").read_text() == "a-password\n"
    assert list((pulled.machine.root / "root").iterdir()) == []
    assert "docker build" not in " ".join(pulled.machine.commands)


def test_builder_is_closed_encrypted_and_temporary(prefix: str, place: Place) -> None:
    instance_id = builder.launch(Service(prefix), place, WEB, "bakes/closed")
    found = launched(prefix)[0]
    assert (found["InstanceId"], found["InstanceType"], found["SubnetId"]) == (instance_id, "t3.micro", place.subnet)
    assert found["IamInstanceProfile"]["Arn"] == place.profile
    assert found.get("KeyName", "") in ("", "None")
    assert (found["MetadataOptions"]["HttpTokens"], found["MetadataOptions"]["HttpPutResponseHopLimit"]) == (
        "required",
        2,
    )
    volume = found["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    assert aws.client("ec2").describe_volumes(VolumeIds=[volume])["Volumes"][0]["Encrypted"] is True
    builder.end([instance_id])


def test_user_data_fits_ec2_limit_and_holds_no_secret() -> None:
    text = roles.user_data(Place("", "", "", "", ""), ImageSpec("yolo5", "v1", model="a 'quoted' name"), "bakes/x")
    assert len(text.encode()) < 16 * 1024
    assert shlex.split(next(line for line in text.splitlines() if line.startswith("MODEL="))) == [
        "MODEL=a 'quoted' name"
    ]
    assert not [word for word in ("AKIA", "aws_secret", "X-Amz-Signature") if word in text]


# ---------------------------------------------------------------------------------------------- a bad end


@pytest.mark.parametrize("broken", ["build", "kill"])
def test_failed_bake_shows_log_and_leaves_nothing(prefix: str, place: Place, boot: Boot, broken: str) -> None:
    boot(prefix, broken)
    with pytest.raises(StackError, match=f"(?s)The builder failed while .*docker {broken}: it is broken"):
        bake.bake(Service(prefix), place, ImageSpec("yolo5", "v1"), silent)
    assert left(prefix) == ([], [], [])


@pytest.fixture
def minds_interrupts() -> Iterator[None]:
    """Let Ctrl-C raise, as in a terminal: background processes of a shell ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("minds_interrupts")
@pytest.mark.parametrize(
    ("step", "number"),
    [
        ("uploading", signal.SIGTERM),
        ("launched", signal.SIGINT),
        ("stopping", signal.SIGINT),
        ("stopping", signal.SIGTERM),
    ],
)
def test_interrupt_at_any_step_leaves_nothing(
    prefix: str, place: Place, boot: Boot, step: str, number: signal.Signals
) -> None:
    boot(prefix)

    def interrupt(text: str) -> None:
        if text.startswith(step):
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        bake.bake(Service(prefix), place, WEB, interrupt)
    alive, objects, images = left(prefix)
    # A terminating builder may still report; the bucket's lifecycle deletes that.
    assert (alive, [one for one in objects if not one.endswith(("/phase", "/log"))], images) == ([], [], [])


def test_interrupt_during_image_creation_removes_image(
    prefix: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(image_id: str, say: object) -> Image:
        raise KeyboardInterrupt

    monkeypatch.setattr(ami, "_await", interrupt)
    before = len(aws.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"])
    with pytest.raises(KeyboardInterrupt):
        an_image(prefix, "v1")
    assert left(prefix) == ([], [], [])
    assert len(aws.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]) == before


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


def test_self_terminated_builder_is_noticed(prefix: str, place: Place) -> None:
    def end(text: str) -> None:
        if text.startswith("launched"):
            builder.end([launched(prefix)[0]["InstanceId"]])

    with pytest.raises(StackError, match="is terminated while booting: "):
        bake.bake(Service(prefix), place, WEB, end)
    assert left(prefix) == ([], [], [])


def test_builder_with_lost_launch_answer_is_found_by_tags(
    prefix: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = builder.launch

    def interrupted(*arguments: Any) -> str:
        launch(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(builder, "launch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bake.bake(Service(prefix), place, WEB, silent)
    assert left(prefix) == ([], [], [])


def test_next_run_terminates_abandoned_builder(
    prefix: str, place: Place, boot: Boot, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten = builder.launch(Service(prefix), place, WEB, "bakes/forgotten")
    assert builder.stale(Service(prefix)) == []
    monkeypatch.setattr(builder, "LIFETIME_MINUTES", -1)
    assert builder.stale(Service(prefix)) == [forgotten]
    builder.end(builder.stale(Service(prefix)))
    assert left(prefix)[0] == []


# ------------------------------------------------------------------------------------- newest, and the old


def test_newest_image_depends_on_role_and_prefix(prefix: str, place: Place) -> None:
    an_image(prefix, "v1")
    newer = an_image(prefix, "v2")
    an_image(prefix, "v3", role="polybot")
    an_image(f"{prefix}-other", "v4")
    assert ami.of_role(Service(prefix), "yolo5")[0].version in ("v1", "v2")
    assert {one.version for one in ami.of_role(Service(prefix), "yolo5")} == {"v1", "v2"}
    assert newer in ami.of_role(Service(prefix), "yolo5")
    assert ami.newest(Service(prefix), "metrics") is None


def test_pruning_keeps_newest_images_and_removes_snapshots(prefix: str, place: Place) -> None:
    for number in range(3):
        an_image(prefix, f"v{number}")
    kept, *old = ami.of_role(Service(prefix), "yolo5")
    bake.prune(Service(prefix), "yolo5", 1, silent)
    assert ami.of_role(Service(prefix), "yolo5") == [kept]
    ids = {one["SnapshotId"] for one in aws.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert ids.isdisjoint({snapshot for image in old for snapshot in image.snapshots})


def test_pruning_keeps_images_in_use(prefix: str, place: Place) -> None:
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


# --------------------------------------------------------------------------------------------- the source


def test_custom_weights_are_packed_without_owner(tmp_path: Path) -> None:
    weights = tmp_path / "mine.pt"
    weights.write_bytes(b"weights")
    with tarfile.open(fileobj=io.BytesIO(source.pack(weights))) as archive:
        member = archive.getmember("deploy/docker/weights/mine.pt")
        assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
    assert source.model(weights) == "mine"


def test_exported_folder_is_named_without_its_ending(tmp_path: Path) -> None:
    folder = tmp_path / "mine_openvino_model"
    folder.mkdir()
    with pytest.raises(StackError, match=r"neither a \.pt file nor a folder"):
        source.model(folder)
    (folder / "metadata.yaml").touch()
    assert source.model(folder) == "mine"


def test_untracked_files_are_not_packed() -> None:
    with tarfile.open(fileobj=io.BytesIO(source.pack())) as archive:
        names = archive.getnames()
    assert {"manage.py", ".dockerignore", "deploy/docker/bake.sh"} <= set(names)
    assert [name for name in names if name.startswith((".env", "tests/", "var/")) or name.endswith(".pyc")] == []


def test_bake_without_git_is_rejected_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "BASE_DIR", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(StackError, match=r"baked from a git checkout.*Clone the repository"):
        source.version()


# --------------------------------------------------------------------------------------------- the command


@pytest.fixture
def run(place: Place, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that runs `bake_ami` and returns its output."""
    monkeypatch.setattr(roles, "place", lambda service: place)

    def command(*arguments: str) -> str:
        output = io.StringIO()
        call_command("bake_ami", *arguments, "--prefix", prefix, stdout=output)
        return output.getvalue()

    return command


def test_command_prints_image_and_next_step(run: Callable[..., str], prefix: str, boot: Boot) -> None:
    boot(prefix)
    lines = run("polybot", "--image", WEB.image, "--version", "v7").splitlines()
    made = ami.newest(Service(prefix), "polybot")
    assert made is not None
    assert lines[-2:] == [
        f"{made.id} is polybot v7. To start new instances from it, run:",
        f"  python manage.py provision --prefix {prefix}",
    ]


def test_bake_plan_does_nothing(run: Callable[..., str], prefix: str, place: Place) -> None:
    current, *_ = [an_image(prefix, "v1")]
    lines = run("yolo5", "--plan", "--version", "v2", "--keep", "1").splitlines()
    assert lines == [
        f"builder: t3.medium from {builder.base_image()} in {place.subnet}",
        "container: built from this checkout, v2",
        f"newest image now: {current.id} (v1)",
        f"would remove {current.id} ({current.name})",
    ]
    assert left(prefix) == ([], [], [current])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["web"], "invalid choice: 'web'"),
        (["polybot", "--weights", "x.pt"], "--weights is only for yolo5"),
        (
            ["yolo5", "--weights", "nothing.pt"],
            r"--weights nothing.pt is neither a .pt file nor a folder NAME_openvino",
        ),
        (["yolo5", "--keep", "0"], "--keep must be at least 1"),
        (["yolo5", "--version", "v 1"], "--version 'v 1' can't be a container tag"),
    ],
)
def test_invalid_bake_options_are_rejected(run: Callable[..., str], arguments: list[str], complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        run(*arguments)


def test_interrupted_bake_reports_nothing_left(
    run: Callable[..., str], prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(builder, "follow", interrupt)
    with pytest.raises(CommandError, match="The builder is terminated, and no image was made"):
        run("polybot", "--image", WEB.image)
    assert left(prefix) == ([], [], [])
