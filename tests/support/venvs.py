"""Make an environment that holds some of the packages installed here and nothing else, without a network."""

import sys
import venv
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from tests.support.containers import closure


def make(folder: Path, packages: Iterable[str]) -> Path:
    """Return the interpreter of a new environment with these packages and all that they require, linked from here."""
    venv.create(folder, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for name in closure(packages):
        _link(metadata.distribution(name), folder / "lib" / version / "site-packages")
    return folder / "bin" / "python"


def _link(distribution: metadata.Distribution, target: Path) -> None:
    """Link all that a distribution has put into site-packages."""
    for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
        if not (target / top).exists():
            (target / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())
