"""Make an environment that holds some of the packages installed here and nothing else, without a network."""

import sys
import venv
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement


def make(folder: Path, packages: Iterable[str]) -> Path:
    """Return the interpreter of a new environment with these packages and all that they require, linked from here."""
    venv.create(folder, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for name in _closure(packages):
        _link(metadata.distribution(name), folder / "lib" / version / "site-packages")
    return folder / "bin" / "python"


def _closure(packages: Iterable[str]) -> set[str]:
    """Return the distributions that come with these packages, as pip would install them here."""
    waiting, seen, found = [Requirement(name) for name in packages], set(), set()
    while waiting:
        wanted = waiting.pop()
        if str(wanted) in seen:
            continue
        seen.add(str(wanted))
        found.add(wanted.name.lower())
        for line in metadata.distribution(wanted.name).requires or ():
            one = Requirement(line)
            if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in {*wanted.extras, ""}):
                waiting.append(one)
    return found


def _link(distribution: metadata.Distribution, target: Path) -> None:
    """Link all that a distribution has put into site-packages."""
    for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
        if not (target / top).exists():
            (target / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())
