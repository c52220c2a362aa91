"""Pin all that is installed, with hashes: `make lock` rewrites the *.lock files after a change of a requirements file.

    .venv/bin/python -m deploy.local.lock [--upgrade]

Without `--upgrade` what is locked already keeps its version, as far as the requirements allow. Each lock begins with
the digest of all requirements files, so that a test finds a stale one without a network.
"""

import argparse
import hashlib
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_LAPTOP = ("requirements.txt", "deploy/local/requirements.txt")
# The largest comes first, and the others take its versions: a package has one version everywhere.
_WHOLE = "tests/requirements.lock"
LOCKS = {
    _WHOLE: (*_LAPTOP, "requirements-torch.txt", "tests/requirements.txt", "deploy/local/uv.txt"),
    "requirements.lock": _LAPTOP,
    "deploy/local/uv.lock": ("deploy/local/uv.txt",),
    "requirements-torch.lock": ("requirements-torch.txt",),
    "deploy/docker/polybot.lock": ("deploy/docker/polybot.txt",),
    "deploy/docker/metrics.lock": ("deploy/docker/metrics.txt",),
    "deploy/docker/yolo5.lock": ("deploy/docker/yolo5.txt",),
}
# PyTorch and what its CUDA build brings: requirements-torch.txt says why no lock has them.
_PYTORCH = re.compile(r"(torch|torchvision|triton|nvidia-(?!ml-py)|cuda-)")
_UV = (sys.executable, "-m", "uv", "pip", "compile", "--quiet")
_FORM = ("--generate-hashes", "--no-annotate", "--no-header")
# One version of each package for all Pythons and platforms; the newest that Python 3.11 can have.
_FOR = ("--universal", "--python-version", "3.11", "--fork-strategy", "fewest")


def main() -> None:
    """Rewrite every lock."""
    parser = argparse.ArgumentParser(prog="deploy.local.lock", description="Rewrite the *.lock files.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that the requirements allow")
    upgrade = parser.parse_args().upgrade
    for name in LOCKS:
        _lock(name, upgrade)
        sys.stdout.write(f"{name}\n")


def stale(root: Path = ROOT) -> list[str]:
    """Return the names of the locks that were made from other requirements than there are now."""
    header = _header(root)
    return [name for name in LOCKS if not (root / name).is_file() or not (root / name).read_text().startswith(header)]


def _lock(name: str, upgrade: bool) -> None:
    options = ["--upgrade"] if upgrade else []
    if name != _WHOLE:
        options += ["--constraint", _WHOLE]
    path = ROOT / name
    subprocess.run([*_UV, *_FORM, *_FOR, *options, *LOCKS[name], "--output-file", name], cwd=ROOT, check=True)
    packages = re.split(r"(?m)^(?=\w)", path.read_text())
    path.write_text(_header(ROOT) + "".join(text for text in packages if not _PYTORCH.match(text)))


def _header(root: Path) -> str:
    """Return the first lines of a lock; comments and empty lines of the requirements do not count."""
    files = sorted({file for files in LOCKS.values() for file in files})
    lines = [line for file in files for line in [file, *(root / file).read_text().splitlines()]]
    wanted = "\n".join(line for line in lines if line.strip() and not line.startswith("#"))
    return f"# Made by `make lock`; do not edit.\n# requirements: {hashlib.sha256(wanted.encode()).hexdigest()}\n"


if __name__ == "__main__":
    main()
