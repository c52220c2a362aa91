"""The containers, as far as they can be tested where there is no Docker: what they copy, install, run and say."""

import configparser
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import botsite
from botsite import aws, roles
from deploy.docker import sbom
from deploy.images import source, spec
from deploy.images.spec import BuilderPlace, ImageSpec
from deploy.local.sample import SHAPES
from detection.model import checksums, openvino
from detection.model import weights as model_weights
from tests.support import containers, emulators, locks
from tests.support.processes import PATIENCE_SECONDS, free_port, wait_until

ROOT = Path(__file__).parents[2]
# What the build has in addition to the worker's packages while it exports the model.
EXPORTERS = {"torch", "torchvision"} | locks.names(ROOT / "requirements-torch.lock")


def _healthy_or_ended(one: containers.Container, process: subprocess.Popen[bytes]) -> bool:
    return one.healthy() or process.poll() is not None


def role_of(path: Path) -> str:
    return path.name.removesuffix(".Dockerfile")


each_file = pytest.mark.parametrize("path", containers.FILES, ids=role_of)


def tool(name: str) -> str:
    """Return a program of the environment that runs this."""
    return str(Path(sys.executable).with_name(name))


def test_every_baked_role_has_dockerfile() -> None:
    assert sorted(role.short for role in roles.ROLES) == [role_of(path) for path in containers.FILES]


@each_file
def test_container_runs_the_roles_command(path: Path) -> None:
    *_, image = containers.stages(path)
    assert tuple(json.loads(image.all("CMD")[0])) == roles.named(role_of(path)).command


def test_hadolint_finds_nothing() -> None:
    found = subprocess.run([tool("hadolint"), *map(str, containers.FILES)], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, ""), found.stderr


def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    whole = tmp_path / "user-data.sh"
    whole.write_text(
        spec.user_data(BuilderPlace("subnet", "group", "arn", "bucket", "url"), ImageSpec("yolo5", "v1"), "x")
    )
    files = [str(containers.FOLDER / "run.sh"), str(whole)]
    found = subprocess.run([tool("shellcheck"), *files], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, ""), found.stderr


def test_images_share_one_pinned_base() -> None:
    bases = {stage.base.partition(" AS ")[0] for path in containers.FILES for stage in containers.stages(path)}
    bases -= {"packages"}
    assert len(bases) == 1
    assert re.fullmatch(
        r"public\.ecr\.aws/docker/library/python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", bases.pop()
    )


@each_file
def test_image_has_user_stop_signal_and_health_check(path: Path) -> None:
    *before, image = containers.stages(path)
    assert before
    user, group = image.all("USER")[0].split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert image.all("STOPSIGNAL") == ["SIGTERM"]
    assert len(image.all("HEALTHCHECK")) == 1


@each_file
def test_copied_files_are_in_bundle(path: Path) -> None:
    with tarfile.open(fileobj=BytesIO(source.pack())) as archive:
        names = archive.getnames()
    for stage in containers.stages(path):
        for text in stage.all("COPY"):
            for copied in text.split()[:-1] if "--from" not in text else ():
                assert (ROOT / copied).exists(), copied
                assert any(name == copied or name.startswith(f"{copied}/") for name in names), copied


@each_file
def test_requirements_pin_every_package(path: Path) -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    # boto3 has an extra there, for operators alone.
    pinned = {line.partition("==")[0].removesuffix("[crt]") for line in lines if "==" in line}
    wanted = [line for line in path.with_suffix(".txt").read_text().splitlines() if not line.startswith("#")]
    assert [name for name in wanted if name not in pinned] == []


@each_file
def test_image_installs_its_lock_by_hash(path: Path) -> None:
    lock = f"{role_of(path)}.lock"
    packages = containers.stages(path)[0]
    assert f"deploy/docker/{lock} ." in packages.all("COPY")
    assert f"/srv/venv/bin/pip install --no-deps --require-hashes --requirement {lock}" in packages.all("RUN")


def test_only_worker_reads_text() -> None:
    command = "pip install --no-deps --require-hashes --requirement requirements-text.lock"
    readers = [path for path in containers.FILES if command in " ".join(containers.stages(path)[0].all("RUN"))]
    assert [role_of(path) for path in readers] == ["yolo5"]


@each_file
def test_only_worker_has_openvino_and_no_image_has_torch(path: Path) -> None:
    inside = containers.installed(path)
    assert inside.isdisjoint({"torch", "ultralytics-opencv-headless"})
    assert ("openvino" in inside) == (role_of(path) == "yolo5")


def test_model_is_exported_at_build_with_cpu_pytorch() -> None:
    stages = containers.stages(containers.FOLDER / "yolo5.Dockerfile")
    run = " ".join(text for stage in stages for text in stage.all("RUN"))
    assert re.search(r"--require-hashes --index-url \S+/whl/cpu\s+--requirement torch\.txt", run)
    assert "--no-deps --require-hashes --requirement requirements-torch.lock" in run
    assert "manage.py export_weights" in run


@each_file
def test_nothing_is_installed_without_hashes(path: Path) -> None:
    commands = re.split(r"&&|;", " && ".join(text for one in containers.stages(path) for text in one.all("RUN")))
    installs = [command for command in commands if "install " in command and "install -d" not in command]
    assert installs
    assert [command for command in installs if "--require-hashes" not in command] == []


def test_pytorch_of_build_is_within_its_ranges() -> None:
    lines = [line for line in (ROOT / "requirements-torch.txt").read_text().splitlines() if line.startswith("torch")]
    ranges = {one.name: one.specifier for one in map(Requirement, lines)}
    pinned = (containers.FOLDER / "torch.txt").read_text()
    found = re.findall(r"^(\w+)==(\S+) --hash=sha256:[0-9a-f]{64}$", pinned, re.MULTILINE)
    assert {name: ranges[name].contains(version) for name, version in found} == {"torch": True, "torchvision": True}


# ------------------------------------------------------------------------------------------- what is inside


@each_file
@pytest.mark.slow
def test_image_tells_its_commit_and_contents(path: Path, tmp_path: Path) -> None:
    one = containers.lay_out(path, tmp_path / "srv", free_port(), {"YOLO_WEIGHTS": str(SHAPES)})
    (one.app / "botsite" / "COMMIT").write_text("0123456789012345678901234567890123456789-dirty")

    def run(*command: str) -> str:
        # As in the image, nothing else is on the path of a script that lies elsewhere.
        return subprocess.run(command, env=one.env, cwd=one.app, capture_output=True, text=True, check=True).stdout

    assert (
        run(sys.executable, "manage.py", "version") == f"{botsite.__version__} (0123456-dirty)\nmodel: {SHAPES.name}\n"
    )
    listed = json.loads(run(sys.executable, str(containers.FOLDER / "sbom.py"), role_of(path)))
    assert listed["metadata"]["component"]["version"].startswith("01234567890123")
    names = {part["name"].lower() for part in listed["components"] if part.get("purl", "").startswith("pkg:pypi/")}
    assert containers.installed(path) - {name.replace("_", "-") for name in names} == set()
    models = [part for part in listed["components"] if part["type"] == "machine-learning-model"]
    assert [part["properties"][0]["value"] for part in models] == ["fp16"]
    assert [part["licenses"][0]["license"]["name"].partition(" ")[0] for part in models] == ["AGPL-3.0"]


def test_precision_is_of_most_weights() -> None:
    constant = '<layer type="Const"><data element_type="{}" shape="1" offset="0" size="{}" /></layer>'
    assert sbom.precision(constant.format("f32", 10) + constant.format("i8", 90)) == "int8"
    assert sbom.precision("") == "unknown"


# ----------------------------------------------------------------------------------------------- the model


@pytest.mark.slow
@pytest.mark.parametrize(("given", "installs"), [("shapes.pt", 2), ("shapes_openvino_model", 0)])
def test_build_exports_model_or_takes_existing_export(tmp_path: Path, given: str, installs: int) -> None:
    """The export itself, which takes its time, is done already: `export_weights` finds it in the cache.

    PyTorch and ultralytics are installed for a .pt file alone.
    """
    cache = tmp_path / "srv" / "cache" / "weights"
    cache.mkdir(parents=True)
    if given.endswith(".pt"):
        (cache / given).write_bytes(b"weights")
        name = f"shapes-{checksums.of(cache / given)[:12]}-fp16_openvino_model"
        shutil.copytree(SHAPES, cache / name)
    else:
        shutil.copytree(SHAPES, cache / given)
    stage = containers.stages(containers.FOLDER / "yolo5.Dockerfile")[1]
    packages = containers.installed(containers.FOLDER / "yolo5.Dockerfile") | (EXPORTERS if installs else set())
    script = " && ".join(stage.all("RUN")).replace("/srv/venv/bin/python", sys.executable)
    (pip := tmp_path / "pip").write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/installed\n')
    pip.chmod(0o755)
    script = script.replace("/srv/venv/bin/pip", str(pip))
    env = containers.confined(packages, tmp_path / "guard") | {
        "MODEL": "shapes",
        "WEIGHTS_SHA256": "",
        "CACHE_DIR": str(cache.parent),
    }
    app = containers.copied(stage, tmp_path / "srv" / "app")
    script = script.replace("/srv", str(tmp_path / "srv"))
    subprocess.run(["sh", "-ec", script], env=env, cwd=app, check=True, capture_output=True)
    installed = (tmp_path / "installed").read_text().splitlines() if (tmp_path / "installed").exists() else []
    assert (len(installed), [line for line in installed if "--require-hashes" not in line]) == (installs, [])
    made = tmp_path / "srv" / "models" / "shapes_openvino_model"
    assert [path.name for path in made.parent.iterdir()] == [made.name]
    assert openvino.runs(made)
    assert len(list((cache.parent / "compiled").iterdir())) == len(openvino.sizes_of(made))
    image = containers.stages(containers.FOLDER / "yolo5.Dockerfile")[-1]
    assert image.variables["YOLO_WEIGHTS"] == "/srv/models/${MODEL}_openvino_model"
    assert "--from=export --chown=10001:10001 /srv/cache/compiled /srv/state/compiled" in image.all("COPY")
    assert image.variables["CACHE_DIR"] == "/srv/state"


# --------------------------------------------------------------------------------------------- on a machine


def docker_run(root: Path, settings: str, version: str = "25.0.8", which: str = "", **role: str) -> list[str]:
    """Return the arguments that run.sh gives to docker of a version, on a machine with these settings."""
    (root / "etc" / "objdet").mkdir(parents=True)
    (root / "etc" / "objdet" / "env").write_text(settings)
    (root / "var" / "lib" / "cloud" / "data").mkdir(parents=True)
    (root / "var" / "lib" / "cloud" / "data" / "instance-id").write_text("i-0123\n")
    (root / "proc").mkdir()
    (root / "proc" / "meminfo").write_text("MemTotal: 960000 kB\nMemFree: 1 kB\nSwapTotal: 1048572 kB\n")
    answer = f'if [ "$1" = version ]; then echo {version}; exit; fi'
    (root / "docker").write_text(f'#!/bin/sh\n{answer}\nprintf "%s\\n" "$@"\n')
    (root / "docker").chmod(0o755)
    env = {"PATH": f"{root}:/usr/bin:/bin", "DESTDIR": str(root), **role}
    command = ["bash", str(containers.FOLDER / "run.sh"), *([which] if which else [])]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.splitlines()


def test_container_may_write_only_its_state(tmp_path: Path) -> None:
    arguments = docker_run(tmp_path, "AWS_REGION=x\n", IMAGE="objdet-yolo5:v1")
    assert arguments[0] == "run"
    assert arguments[-1] == "objdet-yolo5:v1"
    said = " ".join(arguments)
    assert "--read-only --tmpfs /tmp:size=64m --volume objdet:/srv/state --cap-drop ALL" in said
    assert "--security-opt no-new-privileges" in said
    assert "--log-driver none" in said
    assert "--publish" not in said


def test_container_leaves_fifth_of_memory_to_machine(tmp_path: Path) -> None:
    said = " ".join(docker_run(tmp_path, "AWS_REGION=x\n", IMAGE="i"))
    assert "--memory 749m --memory-swap 1772m --cpu-shares 1024 --pids-limit 512" in said


def test_metric_and_worker_on_standby_share_memory_with_a_limit_each(tmp_path: Path) -> None:
    settings = "AWS_REGION=x\nSTANDBY_WORKER=on\nLOG_GROUP=/objdet/metrics\n"
    metric = " ".join(docker_run(tmp_path / "metric", settings, IMAGE="m"))
    assert "--name objdet --pull" in metric
    assert "--memory 249m --memory-swap 249m --cpu-shares 1024" in metric
    worker = " ".join(docker_run(tmp_path / "worker", settings, which="standby", IMAGE="w"))
    assert "--name objdet-standby --pull" in worker
    assert "--volume objdet-standby:/srv/state" in worker
    assert "--memory 499m --memory-swap 1522m --cpu-shares 128" in worker
    assert "awslogs-stream=i-0123-standby" in worker


def test_site_publishes_its_port_and_logs_to_its_group(tmp_path: Path) -> None:
    settings = "AWS_REGION=eu-central-1\nLOG_GROUP=/objdet/polybot\n"
    said = " ".join(docker_run(tmp_path, settings, IMAGE="i", PUBLISH="8000:8000"))
    assert "--publish 8000:8000 i" in said
    assert "--log-driver awslogs --log-opt mode=non-blocking --log-opt awslogs-region=eu-central-1" in said
    assert "--log-opt awslogs-group=/objdet/polybot --log-opt awslogs-stream=i-0123" in said


@pytest.mark.parametrize(
    ("version", "said"), [("25.0.3", True), ("26.1.4-ce", True), ("100.0", True), ("24.0.9", False), ("", False)]
)
def test_metrics_in_log_lines_are_announced_by_docker_25(tmp_path: Path, version: str, said: bool) -> None:
    """An older Docker ends at the unknown option (moby 42838)."""
    arguments = docker_run(tmp_path, "AWS_REGION=x\nLOG_GROUP=/objdet/polybot\n", version, IMAGE="i")
    assert ("awslogs-format=json/emf" in arguments) == said
    assert arguments[-1] == "i"


@pytest.mark.parametrize("name", ["objdet.service", "objdet-standby.service"])
def test_unit_always_restarts(name: str) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(containers.FOLDER / name)
    service = dict(unit["Service"])
    assert (service["Restart"], unit["Unit"]["StartLimitIntervalSec"]) == ("always", "0")
    assert unit["Install"]["WantedBy"] == "multi-user.target"


# ------------------------------------------------------------------------------------ as a container would run


@pytest.fixture
def builder_settings(weights_folder: Path) -> Iterator[dict[str, str]]:
    """What a builder gives its container, on an emulated AWS."""
    with emulators.ministack() as url:
        queue = aws.client("sqs").create_queue(QueueName="bake")["QueueUrl"]
        given = {"AWS_REGION": "us-east-1", "STANDBY": "off", "QUEUE_URL": queue, "BUCKET": "bake", "random": "r" * 50}
        values = containers.proof_settings(**given)
        keys = {**emulators.keys(), "AWS_EC2_METADATA_DISABLED": "true"}
        yield values | keys | {"AWS_ENDPOINT_URL": url, "YOLO_WEIGHTS": str(weights_folder)}


@pytest.fixture(scope="session")
def weights_folder(weights: str) -> Path:
    """The model as the image of the worker holds it: exported."""
    return model_weights.ready(weights)


@pytest.mark.slow
def test_every_role_becomes_healthy_and_stops(builder_settings: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    env = builder_settings | {"POLYBOT_BIND": f"127.0.0.1:{port}"}
    roles = [containers.lay_out(path, tmp_path / role_of(path), port, env) for path in containers.FILES]
    with ExitStack() as stack:
        assert [one for one in roles if one.healthy()] == []
        running = [stack.enter_context(one.run()) for one in roles]
        for one, process in zip(roles, running, strict=True):
            wait_until(partial(_healthy_or_ended, one, process))
            assert process.poll() is None, (one.app.parent / "output").read_text()[-3000:]
        for process in running:
            process.terminate()
        assert [process.wait(PATIENCE_SECONDS) for process in running] == [0, 0, 0]
        assert [one for one in roles if one.healthy()] == []
