"""What is installed is locked by hash, the locks are up to date, and they fit every Python that is promised."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from deploy.local import install
from tests.support import locks

ROOT = Path(__file__).parents[2]
UV = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--dry-run", "--no-deps")
PYTHONS = [(3, minor) for minor in range(install.OLDEST[1], install.NEWEST[1] + 1)]

each_lock = pytest.mark.parametrize("path", locks.ALL, ids=lambda path: str(path.relative_to(ROOT)))


def requirements(path: Path) -> str:
    """Return the requirements that a lock is made from: its second line is the command that made it."""
    names = path.read_text().splitlines()[1].partition("torchvision ")[2].partition(" --output-file")[0].split()
    assert names
    return "".join((ROOT / name).read_text() for name in names if name.endswith(".txt"))


def unsatisfied(path: Path, text: str) -> list[str]:
    """Return the packages that these requirements want otherwise than the lock has them, PyTorch aside."""
    lines = (line.strip() for line in text.splitlines())
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    pinned = {package.name: next(iter(package.specifier)).version for package in locks.entries(path)}
    others = [one for one in wanted if one.name not in ("torch", "torchvision")]
    return [one.name for one in others if pinned.get(one.name.lower(), "0") not in one.specifier]


@each_lock
def test_every_package_is_pinned_with_hashes(path: Path) -> None:
    for package, hashes in locks.entries(path).items():
        assert str(package.specifier).startswith("=="), package
        assert hashes, package
        assert all(one.startswith("sha256:") for one in hashes), package


@each_lock
def test_lock_names_no_package_index(path: Path) -> None:
    text = path.read_text()
    assert [word for word in ("://", "--index", "--extra-index", "--find-links", " @ ") if word in text] == []


@each_lock
def test_lock_satisfies_its_requirements(path: Path) -> None:
    assert unsatisfied(path, requirements(path)) == [], "run `make lock`"


def test_changed_requirement_makes_lock_stale() -> None:
    path = ROOT / "requirements.lock"
    text = requirements(path)
    assert unsatisfied(path, text.replace("gunicorn==", "gunicorn<")) == ["gunicorn"]
    assert unsatisfied(path, f"{text}\nnobody-has-this>=1") == ["nobody-has-this"]


def test_package_has_one_version_everywhere() -> None:
    whole = {package: hashes for path in locks.ALL for package, hashes in locks.entries(path).items()}
    assert len({package.name for package in whole}) == len({(one.name, str(one.specifier)) for one in whole})


def test_locks_name_no_build_of_pytorch() -> None:
    names = {package.name for path in locks.ALL for package in locks.entries(path)}
    assert {name for name in names if name.startswith(("torch", "triton", "cuda")) or "nvidia" in name} == {
        "nvidia-ml-py"
    }


@pytest.mark.parametrize("version", PYTHONS, ids=lambda version: f"{version[0]}.{version[1]}")
@pytest.mark.slow
def test_all_locks_have_wheels_for_every_python(version: tuple[int, int], tmp_path: Path) -> None:
    """A dry run: it finds a file, of the locked hashes, for each package; pyvips alone is built from source."""
    python = f"{version[0]}.{version[1]}"
    target = ("--target", str(tmp_path), "--python-version", python, "--only-binary", ":all:", "--no-binary", "pyvips")
    files = [part for path in (locks.WHOLE, ROOT / "requirements.lock") for part in ("-r", str(path))]
    subprocess.run([*UV, *target, "--require-hashes", *files], check=True)
    pytorch = [line for line in (ROOT / install.TORCH).read_text().splitlines() if line.startswith("torch")]
    subprocess.run([*UV, *target, *pytorch], check=True)


def test_install_accepts_promised_pythons() -> None:
    promised = SpecifierSet(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"])
    around = [(3, minor) for minor in range(8, 20)]
    assert [one for one in around if f"{one[0]}.{one[1]}" in promised] == PYTHONS
    assert sorted(install.PYTHONS) == [f"python3.{minor}" for _, minor in PYTHONS]
