"""Compare weights with their SHA-256 before anything unpickles them: a `.pt` file may run any code."""

import hashlib
import re
from pathlib import Path

# The files of https://github.com/ultralytics/assets/releases/tag/v8.4.0, where ultralytics 8.4 downloads its weights.
PUBLISHED = {
    "yolo11n.pt": "0ebbc80d4a7680d14987a577cd21342b65ecfd94632bd9a8da63ae6417644ee1",
    "yolo11s.pt": "85a76fe86dd8afe384648546b56a7a78580c7cb7b404fc595f97969322d502d5",
    "yolo11m.pt": "d5ffc1a674953a08e11a8d21e022781b1b23a19b730afc309290bd9fb5305b95",
    "yolo11l.pt": "9ebd0e09d59811db4b1d61e2bc6730649608b1ac47f8dd01e2da6bca7c20023f",
    "yolo11x.pt": "7bc158aa95c0ebfdd87f70f01653c1131b93e92522dbe15c228bcd742e773a24",
}
_FORM = re.compile(r"[0-9a-f]{64}")


def of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def expected(path: Path, named: str) -> str:
    """Return the checksum that the weights must have: the one that is named, else that of the published file.

    A name without a folder is a published file's; a path is somebody's own file, of which nothing is known (""). Raise
    ValueError if what is named is no SHA-256.
    """
    if named and not _FORM.fullmatch(named.lower()):
        raise ValueError(f"{named!r} is no SHA-256: `sha256sum {path}` prints it, 64 hexadecimal digits.")
    return named.lower() or (PUBLISHED.get(path.name, "") if path.parent == Path() else "")
