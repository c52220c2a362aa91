"""A bake builds or pulls a container, installs it as a unit, and leaves an image."""

import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from botsite import aws
from deploy.images import ami, bake, builder, source, spec
from deploy.images.ami import Image
from deploy.images.spec import BuilderPlace, ImageSpec
from deploy.service import Service
from tests.support.baking import WEB, launched, left, place_of
from tests.support.builders import SBOM, Machine

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Baked:
    """A successful bake: its prefix, image, output and builder."""

    prefix: str
    image: Image
    said: list[str]
    machine: Machine


def baked(prefix: str, what: ImageSpec, endpoint: str, root: Path, listed: bool = True) -> Baked:
    """Bake from start to end."""
    machine, said = Machine(prefix, root, endpoint), list[str]()
    if not listed:
        (root / "sbom").unlink()
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


def test_bake_leaves_only_an_image(built: Baked) -> None:
    assert ami.newest(Service(built.prefix), "yolo5") == built.image
    assert left(built.prefix) == ([], [f"sboms/{built.image.name}.json"], [built.image])
    assert (built.image.version, len(built.image.snapshots)) == ("v1", 1)
    found = aws.client("ec2").describe_snapshots(SnapshotIds=list(built.image.snapshots))["Snapshots"][0]
    assert {"Key": "Project", "Value": built.prefix} in found["Tags"]


@pytest.mark.slow
def test_image_is_tagged_with_commit_and_model(built: Baked, pulled: Baked) -> None:
    tags = {"Commit": source.commit(), "Model": "yolo11n", "Precision": "fp16"}
    assert tags.items() <= built.image.tags.items()
    assert "Commit" not in pulled.image.tags
    assert pulled.image.tags["Container"] == WEB.image


def test_list_of_contents_is_kept_beside_images(built: Baked) -> None:
    key = f"sboms/{built.image.name}.json"
    bucket = place_of(built.prefix).bucket
    assert aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode() == SBOM
    assert built.said[-1] == f"what is inside: s3://{bucket}/{key}"


@pytest.mark.slow
def test_container_without_list_is_baked(endpoint: str, tmp_path: Path) -> None:
    made = baked("unlisted", WEB, endpoint, tmp_path / "machine", listed=False)
    assert made.image.version == "v1"
    assert left("unlisted") == ([], [], [made.image])


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
    steps += ["listing what is inside", "tidying up", "ready", "stopping the builder"]
    # Polling misses short steps.
    assert [step for step in steps if step in said] == said
    assert said[-2:] == ["ready", "stopping the builder"]


def test_builder_checks_container_restarts(built: Baked) -> None:
    other = ("shutdown", "dnf", "sync", "fallocate", "mkswap", "swapon")
    told = [line for line in built.machine.commands if not line.startswith(other)]
    build = told.pop(1)
    arguments = "--build-arg MODEL=yolo11n --build-arg WEIGHTS_SHA256= --tag objdet-yolo5:v1"
    assert build.startswith(f"docker build --progress plain {arguments} --file ")
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
        "docker exec objdet cat /srv/sbom.json",
        "systemctl stop objdet.service",
        "docker volume rm objdet",
    ]


@pytest.mark.slow
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


@pytest.mark.slow
def test_only_worker_gets_swap(built: Baked, pulled: Baked) -> None:
    file = built.machine.root / "swapfile"
    swapping = [line for line in built.machine.commands if line.startswith(("fallocate", "mkswap", "swapon"))]
    assert swapping == [f"fallocate --length 1024MiB {file}", f"mkswap {file}", f"swapon {file}"]
    assert (built.machine.root / "etc" / "fstab").read_text() == "/swapfile none swap defaults 0 0\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert not (pulled.machine.root / "etc" / "fstab").exists()


@pytest.mark.slow
def test_metric_gets_worker_on_standby_with_its_disk_and_swap(endpoint: str, tmp_path: Path) -> None:
    what = ImageSpec("metrics", "v1", standby=True)
    made = baked("standby", what, endpoint, tmp_path / "machine")
    root, commands = made.machine.root, made.machine.commands
    built = [shlex.split(line) for line in commands if line.startswith("docker build ")]
    assert [line[line.index("--tag") + 1] for line in built] == ["objdet-metrics:v1", "objdet-yolo5:v1"]
    assert (root / "etc/objdet/standby").read_text() == "IMAGE=objdet-yolo5:v1\nPUBLISH=\nSTOP_SECONDS=930\n"
    assert (root / "etc/objdet/role").read_text() == "IMAGE=objdet-metrics:v1\nPUBLISH=\nSTOP_SECONDS=60\n"
    late = root / "etc/systemd/system/objdet-standby.service.d/role.conf"
    assert late.read_text() == "[Service]\nTimeoutStopSec=940\n"
    assert "systemctl enable objdet.service objdet-standby.service" in commands
    assert "docker inspect --format {{.Id}} {{.State.Health.Status}} objdet-standby" in commands
    assert "docker volume rm objdet objdet-standby" in commands
    assert f"fallocate --length 1024MiB {root / 'swapfile'}" in commands
    assert what.disk_gib == 16
    assert (made.image.standby, made.image.tags["Model"]) == (True, "yolo11n")
    assert left("standby")[1] == [f"sboms/{made.image.name}{end}.json" for end in ("-standby", "")]
    assert [line for line in commands if line.startswith("docker exec ")] == [
        f"docker exec {name} cat /srv/sbom.json" for name in ("objdet", "objdet-standby")
    ]


@pytest.mark.slow
def test_registry_image_is_pulled_and_login_removed(pulled: Baked) -> None:
    assert [line for line in pulled.machine.commands if line.startswith("docker")][:3] == [
        f"docker login --username AWS --password-stdin {WEB.image.partition('/')[0]}",
        f"docker pull --quiet {WEB.image}",
        f"docker tag {WEB.image} objdet-polybot:v1",
    ]
    assert (pulled.machine.root / "password").read_text() == "a-password\n"
    assert list((pulled.machine.root / "root").iterdir()) == []
    assert "docker build" not in " ".join(pulled.machine.commands)


def test_builder_is_closed_encrypted_and_temporary(prefix: str, place: BuilderPlace) -> None:
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
    text = spec.user_data(
        BuilderPlace("", "", "", "", ""), ImageSpec("yolo5", "v1", model="a 'quoted' name"), "bakes/x"
    )
    assert len(text.encode()) < 16 * 1024
    assert shlex.split(next(line for line in text.splitlines() if line.startswith("MODEL="))) == [
        "MODEL=a 'quoted' name"
    ]
    assert not [word for word in ("AKIA", "aws_secret", "X-Amz-Signature") if word in text]
