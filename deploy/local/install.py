"""Make `.venv` and install what this checkout needs. Runs before anything is installed: standard library only.

    python3 deploy/local/install.py [--tests | --torch]

It installs what the *.lock files pin, by hash. Running it again costs nothing until one of them changes. The weights of
the demo's model (everyday.py) are fetched whenever they are missing; the demo works without them.
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
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
OLDEST, NEWEST = (3, 11), (3, 14)
# Python 3.14 comes last, as the tests run on the others.
PYTHONS = ("python3.13", "python3.12", "python3.11", "python3.14")
UV = "deploy/local/uv.lock"
TORCH = "requirements-torch.txt"
# PyTorch's CPU build has 200 MB. What PyPI serves for Linux is the CUDA build, 3 GB.
PYTORCH_CPU = "https://download.pytorch.org/whl/cpu"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Wanted:
    """What to install: locks, whether PyTorch too, and how much it is in a new environment (without PyTorch)."""

    name: str
    locks: tuple[str, ...]
    torch: bool
    download_mb: int
    disk_mb: int


RUNTIME = Wanted("runtime", ("requirements.lock",), False, 250, 770)
EXPORTING = Wanted("torch", ("requirements.lock", "requirements-torch.lock"), True, 310, 1100)
TESTS = Wanted("tests", ("tests/requirements.lock",), True, 430, 1600)
# Of PyTorch: megabytes to download and on disk.
CPU_BUILD, CUDA_BUILD = (200, 700), (3000, 5200)
# What 2 cores and 100 Mbit/s download, unpack and compile.
MB_PER_MINUTE = 400


def main() -> None:
    """Install, unless that is done already."""
    parser = argparse.ArgumentParser(description="Make .venv and install what this checkout needs.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--tests", action="store_true", help="also what the tests need, and Chromium where apt has it")
    which.add_argument("--torch", action="store_true", help="also PyTorch and ultralytics, which export a .pt file")
    options = parser.parse_args()
    _use_supported_python()
    wanted = TESTS if options.tests else EXPORTING if options.torch else RUNTIME
    _install(wanted)
    # In .venv, which has pip. Whether it could fetch them is said there, and no reason to end.
    subprocess.run([str(VENV / "bin" / "python"), str(Path(__file__).with_name("everyday.py"))], check=False)
    if options.tests:
        _install_browser()


def _use_supported_python() -> None:
    """Go on with a Python that the pinned packages support, if this one is not."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return
    for name in PYTHONS:
        if path := shutil.which(name):
            os.execv(path, [path, *sys.argv])  # noqa: S606 - the same program under another Python
    sys.exit(f"This needs Python 3.11 to 3.14; here is {platform.python_version()}. Install one, then try again.")


def _install(wanted: Wanted) -> None:
    stamp, current = VENV / f"installed-{wanted.name}", digest(wanted)
    if stamp.is_file() and stamp.read_text() == current:
        return
    cpu_build = wanted.torch and _is_cpu_build()
    if not any((VENV / f"installed-{name}").is_file() for name in (wanted.name, TESTS.name)):
        print(announcement(wanted, cpu_build), flush=True)
    _make_venv()
    _install_locked(wanted)
    if wanted.torch:
        _install_pytorch(cpu_build)
    stamp.write_text(current)


def digest(wanted: Wanted) -> str:
    """Return what changes with the files that pin the packages."""
    return hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in pinning(wanted))).hexdigest()


def pinning(wanted: Wanted) -> tuple[str, ...]:
    """Return the names of these files."""
    return (UV, TORCH, *wanted.locks)


def announcement(wanted: Wanted, cpu_build: bool) -> str:
    """Return how much an installation will be, and about how long it takes."""
    download, disk = wanted.download_mb, wanted.disk_mb
    if wanted.torch:
        torch_download, torch_disk = CPU_BUILD if cpu_build else CUDA_BUILD
        download, disk = download + torch_download, disk + torch_disk
    minutes = max(round(download / MB_PER_MINUTE), 1)
    return (
        f"installing into {VENV.name}, once: about {_size(download)} to download, {_size(disk)} on disk; "
        f"{'a minute' if minutes == 1 else f'{minutes} minutes'} or so at 100 Mbit/s"
    )


def _size(megabytes: int) -> str:
    return f"{megabytes} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def _make_venv() -> None:
    if (VENV / "bin" / "python").exists():
        return
    print(f"making {VENV.name} with Python {platform.python_version()}", flush=True)
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False)
    if made.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit(f"{made.stdout}{made.stderr}\nCould not make {VENV}. On Debian: apt install python3-venv")


def _install_locked(wanted: Wanted) -> None:
    """Install the locks with uv, which takes a quarter of pip's time; with pip where uv does not work.

    uv does not read pip's configuration, so it may not find the package index that pip is told to use.
    """
    files = [part for name in wanted.locks for part in ("--requirement", str(ROOT / name))]
    options = ["--no-deps", "--require-hashes", *files]
    _pip("installing uv", "--only-binary", ":all:", "--no-deps", "--require-hashes", "--requirement", str(ROOT / UV))
    uv = [str(VENV / "bin" / "uv"), "pip", "install", "--python", str(VENV / "bin" / "python")]
    # The demo compiles what it imports as it starts, which is less than everything. Tests start processes by the
    # hundred, and some environments say that none of them may keep what it compiles.
    if wanted is TESTS or os.environ.get("PYTHONDONTWRITEBYTECODE"):
        uv.append("--compile-bytecode")
    if _run("installing the packages (uv)", [*uv, *options]):
        print("  uv did not get them, so pip tries", flush=True)
        _pip("installing the packages", *options)


def _is_cpu_build() -> bool:
    """Return whether PyTorch will be the CPU build: there is no GPU, and PyTorch's index answers if it is needed."""
    if platform.system() != "Linux":
        return True
    return not shutil.which("nvidia-smi") and _answers(f"{PYTORCH_CPU}/torch/")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=3):  # noqa: S310 - a constant https address
            return True
    except (urllib.error.URLError, OSError):
        return False


def _install_pytorch(cpu_build: bool) -> None:
    """Install the CPU build from PyTorch's index, or else whatever build pip finds; the locks have the rest."""
    if cpu_build and platform.system() == "Linux":
        wanted = [line for line in (ROOT / TORCH).read_text().splitlines() if line.startswith("torch")]
        _pip("installing PyTorch's CPU build", "--no-deps", "-i", PYTORCH_CPU, *wanted)
    else:
        _pip("installing PyTorch", "--requirement", str(ROOT / TORCH))


def _pip(what: str, *arguments: str) -> None:
    """Run pip; end with what it said if it fails."""
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    if output := _run(f"{what} (pip)", command):
        sys.exit("\n".join([*output[-40:], f"pip failed while {what}: is the package index reachable?"]))


def _run(what: str, command: list[str]) -> list[str]:
    """Run a command, showing on one line what it does; return all it said if it fails."""
    print(what, flush=True)
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.rstrip())
        if sys.stdout.isatty():
            print(f"\r\033[K{time.monotonic() - started:5.0f} s  {lines[-1].strip()[:90]}", end="", flush=True)
    if sys.stdout.isatty():
        print("\r\033[K", end="")
    if code := process.wait():
        return [*lines, f"exit code {code}"]
    print(f"  done in {time.monotonic() - started:.0f} s", flush=True)
    return []


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
    try:
        main()
    except KeyboardInterrupt:
        print("\nInterrupted. Run it again for the rest.", flush=True)
        sys.exit(130)
