"""Pack the source that an image is built from, as git has it, and name its version."""

import io
import subprocess
import tarfile
from pathlib import Path

from django.conf import settings

from botsite import release
from deploy.cfn.cloudformation import StackError
from detection.model import checksums, yolox
from detection.model import weights as model_weights

# What the Dockerfiles copy and a builder installs.
_PACKED = (
    ".dockerignore",
    "manage.py",
    "requirements-torch.txt",
    "requirements-torch.lock",
    "requirements-text.lock",
    "botsite",
    "detection",
    "metrics",
    "deploy/__init__.py",
    "deploy/gunicorn.conf.py",
    "deploy/management",
    "deploy/docker",
)
_WEIGHTS = "deploy/docker/weights"
_EXPORTED = "_openvino_model"


def version() -> str:
    """Return git's name for this source: a tag or a commit, with "-dirty" if files were changed since."""
    return _git("describe", "--tags", "--always", "--dirty").strip()


def commit() -> str:
    """Return the hash of the commit that is checked out, with "-dirty" if files were changed since; or "unknown"."""
    try:
        return _git("describe", "--always", "--abbrev=40", "--exclude=*", "--dirty").strip()
    except StackError:
        return "unknown"


def pack(weights: Path | None = None) -> bytes:
    """Return the source as a .tar.gz, with its commit, and with custom `weights` where the build looks for them."""
    names = _git("ls-files", "-z", "--", *_PACKED).split("\0")[:-1]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in names:
            archive.add(settings.BASE_DIR / name, name, filter=_without_owner)
        archive.addfile(*_written(str(release.WRITTEN.relative_to(settings.BASE_DIR)), commit()))
        if weights:
            archive.add(weights, f"{_WEIGHTS}/{weights.name}", filter=_without_owner)
    return packed.getvalue()


def ready(weights: Path | None) -> Path | None:
    """Return the weights as a builder takes them: YOLOX's network, a file or one of the cache, is converted here, once.

    Raise StackError if a builder can't use them.
    """
    if weights is None:
        return None
    network = weights if weights.suffix else settings.CACHE_DIR / "weights" / f"{weights}.onnx"
    if not weights.is_dir() and network.suffix == ".onnx" and network.is_file():
        weights = model_weights.exported(network, "fp16")
        try:
            yolox.convert(network, weights)
        except model_weights.WeightsRefused as error:
            raise StackError(str(error)) from error
    model(weights)
    return weights


def sha256(weights: Path) -> str:
    """Return the checksum of a `.pt` file, which the build compares; empty for a folder."""
    return checksums.of(weights) if weights.suffix == ".pt" else ""


def model(weights: Path) -> str:
    """Return the build's name for these weights (MODEL); raise StackError if it can't use them."""
    if weights.is_file() and weights.suffix == ".pt":
        return weights.stem
    if weights.is_dir() and weights.name.endswith(_EXPORTED) and (weights / "metadata.yaml").is_file():
        return weights.name.removesuffix(_EXPORTED)
    raise StackError(
        f"--weights {weights} is neither a .pt file nor a folder NAME{_EXPORTED} from `manage.py export_weights`, nor "
        "YOLOX's .onnx file, nor yolox_nano once `make demo` has fetched it."
    )


def _written(name: str, text: str) -> tuple[tarfile.TarInfo, io.BytesIO]:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(text), 0o644
    return member, io.BytesIO(text.encode())


def _without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove the owner of a file."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=settings.BASE_DIR, capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise StackError(
            f"An AMI is baked from a git checkout, and {settings.BASE_DIR} isn't one ({error}). Clone the repository "
            "and run this there."
        ) from error
    return done.stdout
