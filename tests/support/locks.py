"""Read the locks: what each of them installs."""

import re
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
# The largest: the others have its versions.
WHOLE = ROOT / "tests" / "requirements.lock"
ALL = [WHOLE, *sorted(ROOT.glob("*.lock")), *sorted(ROOT.glob("deploy/*/*.lock"))]


def entries(lock: Path) -> dict[Requirement, list[str]]:
    """Return the hashes of each package of a lock, for every platform and Python."""
    lines = re.sub(r" \\\n", " ", re.sub(r"(?m)^#.*\n", "", lock.read_text())).splitlines()
    parts = [line.split(" --hash=") for line in lines]
    return {Requirement(package): [one.strip() for one in hashes] for package, *hashes in parts}


def names(lock: Path) -> set[str]:
    """Return the distributions that a lock installs here."""
    return {one.name for one in entries(lock) if one.marker is None or one.marker.evaluate()}
