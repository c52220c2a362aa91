"""Make `.venv` and install what this checkout needs. Runs before anything is installed: standard library only.

    python3 deploy/local/install.py [--tests]

Running it again costs nothing until a requirements file changes.
"""

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHONS = ("python3.13", "python3.12", "python3.11")
RUNTIME = ("requirements.txt", "deploy/local/requirements.txt")
TESTS = ("tests/requirements.txt",)
# PyTorch's CPU build has 200 MB. What PyPI serves for Linux is the CUDA build, 3 GB.
PYTORCH_CPU = "https://download.pytorch.org/whl/cpu"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def main() -> None:
    """Install, unless that is done already."""
    parser = argparse.ArgumentParser(description="Make .venv and install what this checkout needs.")
    parser.add_argument("--tests", action="store_true", help="also what the tests need, and Chromium where apt has it")
    tests = parser.parse_args().tests
    _use_supported_python()
    files = [ROOT / name for name in RUNTIME + (TESTS if tests else ())]
    stamp = VENV / ("installed-tests" if tests else "installed-runtime")
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    if not (stamp.is_file() and stamp.read_text() == digest):
        _make_venv()
        _install_pytorch()
        _pip("installing the rest", *(part for file in files for part in ("-r", str(file))))
        stamp.write_text(digest)
    if tests:
        _install_browser()


def _use_supported_python() -> None:
    """Go on with a Python that the pinned packages support, if this one is not."""
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return
    for name in PYTHONS:
        if path := shutil.which(name):
            os.execv(path, [path, *sys.argv])  # noqa: S606 - the same program under another Python
    sys.exit(f"This needs Python 3.11, 3.12 or 3.13; here is {platform.python_version()}. Install one, then try again.")


def _make_venv() -> None:
    if (VENV / "bin" / "python").exists():
        return
    print(f"making {VENV.name} with Python {platform.python_version()}", flush=True)
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False)
    if made.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit(f"{made.stdout}{made.stderr}\nCould not make {VENV}. On Debian: apt install python3-venv")


def _install_pytorch() -> None:
    """Install PyTorch's CPU build where there is no GPU and PyTorch's index answers; else pip decides later."""
    if platform.system() != "Linux" or shutil.which("nvidia-smi") or not _answers(f"{PYTORCH_CPU}/torch/"):
        return
    wanted = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line.startswith("torch")]
    _pip("installing PyTorch's CPU build", "--no-deps", "-i", PYTORCH_CPU, *wanted)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=3):  # noqa: S310 - a constant https address
            return True
    except (urllib.error.URLError, OSError):
        return False


def _pip(what: str, *arguments: str) -> None:
    """Run pip, showing on one line what it does; show all it said if it fails."""
    print(f"{what} (pip)", flush=True)
    started = time.monotonic()
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.rstrip())
        if sys.stdout.isatty():
            print(f"\r\033[K{time.monotonic() - started:5.0f} s  {lines[-1].strip()[:90]}", end="", flush=True)
    if sys.stdout.isatty():
        print("\r\033[K", end="")
    if process.wait():
        sys.exit("\n".join([*lines[-40:], f"pip failed while {what}: is the package index reachable?"]))
    print(f"  done in {time.monotonic() - started:.0f} s", flush=True)


def _install_browser() -> None:
    """Install Debian's Chromium for the browser tests, where that is possible."""
    if any(shutil.which(name) for name in BROWSERS):
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        sys.exit("The browser tests need Chromium: install it (Debian: apt install chromium), then try again.")
    print("installing Chromium (apt-get)", flush=True)
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]):
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        )


if __name__ == "__main__":
    main()
