"""Pack what an image is built from: the files that git knows, and the version they are."""

import io
import subprocess
import tarfile
from pathlib import Path

from django.conf import settings

from deploy.cfn.cloudformation import StackError

# What the Dockerfiles copy, and what a prototype installs.
_PACKED = (
    ".dockerignore",
    "manage.py",
    "requirements-torch.txt",
    "requirements-torch.lock",
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
    """Return what git calls this source: a tag, or a commit, with "-dirty" where files were changed since."""
    return _git("describe", "--tags", "--always", "--dirty").strip()


def pack(weights: Path | None = None) -> bytes:
    """Return the source as a .tar.gz, with one's own `weights` in the place where the build looks for them."""
    names = _git("ls-files", "-z", "--", *_PACKED).split("\0")[:-1]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in names:
            archive.add(settings.BASE_DIR / name, name, filter=_nobodys)
        if weights:
            archive.add(weights, f"{_WEIGHTS}/{weights.name}", filter=_nobodys)
    return packed.getvalue()


def model(weights: Path) -> str:
    """Return what the build calls these weights (MODEL); raise StackError if it could not use them."""
    if weights.is_file() and weights.suffix == ".pt":
        return weights.stem
    if weights.is_dir() and weights.name.endswith(_EXPORTED) and (weights / "metadata.yaml").is_file():
        return weights.name.removesuffix(_EXPORTED)
    raise StackError(
        f"--weights {weights} is neither a .pt file nor a folder NAME{_EXPORTED} as `manage.py export_weights` makes "
        "them."
    )


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who owns the files here."""
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
            f"An AMI is baked from a git checkout, and git does not know {settings.BASE_DIR} ({error}). Clone the "
            "repository and run this there."
        ) from error
    return done.stdout
