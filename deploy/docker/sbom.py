"""List what an image holds, as a CycloneDX 1.6 document: Python's packages, Debian's, our code and the model.

    python sbom.py ROLE > sbom.json

Run at the end of the build by the image's own Python, which has nothing else: the standard library is enough.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

Component = dict[str, Any]
# A constant of a model in OpenVINO's format: its element type and, in bytes, its size.
_CONSTANT = re.compile(r'type="Const".*?<data element_type="(\w+)"[^>]* size="(\d+)"', re.DOTALL)
_LICENCE = re.compile(r"^license: *(.+)$", re.MULTILINE)
_NAMES = {"f16": "fp16", "f32": "fp32", "i8": "int8", "u8": "int8", "i4": "int4", "u4": "int4"}


def main() -> None:
    """Write the document to the standard output."""
    app = Path("botsite")
    commit = app / "COMMIT"
    itself = {
        "type": "container",
        "name": f"objdet-{sys.argv[1]}",
        "version": commit.read_text().strip() if commit.is_file() else "unknown",
    }
    model = Path(os.environ["YOLO_WEIGHTS"]) if "YOLO_WEIGHTS" in os.environ else None
    json.dump(document(itself, [*python_packages(), *debian_packages(), *models(model)]), sys.stdout, indent=1)


def document(itself: Component, components: list[Component]) -> dict[str, Any]:
    """Return the document about `itself`."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid4()}",
        "version": 1,
        "metadata": {"timestamp": now, "component": itself},
        "components": components,
    }


def python_packages() -> list[Component]:
    """Return what is installed for this Python."""
    found = {(one.metadata["Name"], one.version) for one in metadata.distributions()}
    return [
        _library(name, version, f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{quote(version)}")
        for name, version in sorted(found)
    ]


def debian_packages() -> list[Component]:
    """Return the packages of the base image; none where this is no Debian."""
    form = "${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n"
    try:
        listed = subprocess.run(["dpkg-query", "-W", "-f", form], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        return []
    rows = [line.split("\t") for line in listed.splitlines() if line.startswith("ii")]
    return [
        _library(name, version, f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={arch}")
        for _, name, version, arch in rows
    ]


def models(folder: Path | None) -> list[Component]:
    """Return the model in this folder: its weights' digest and licence, and the precision that most of them have."""
    files = sorted(folder.glob("*.xml")) if folder else []
    return [
        {
            "type": "machine-learning-model",
            "bom-ref": f"model:{file.stem}",
            "name": file.stem,
            "hashes": [{"alg": "SHA-256", "content": _sha256(file.with_suffix(".bin"))}],
            "licenses": [{"license": {"name": one}} for one in _LICENCE.findall(_about(file))],
            "properties": [{"name": "objdet:precision", "value": precision(file.read_text())}],
        }
        for file in files
    ]


def _about(network: Path) -> str:
    """Return what the export says of itself."""
    file = network.with_name("metadata.yaml")
    return file.read_text() if file.is_file() else ""


def precision(xml: str) -> str:
    """Return the element type that holds the most bytes of a model's constants: fp32, fp16 or int8."""
    sizes: Counter[str] = Counter()
    for kind, size in _CONSTANT.findall(xml):
        sizes[kind] += int(size)
    most = max(sizes, key=lambda kind: sizes[kind], default="unknown")
    return _NAMES.get(most, most)


def _library(name: str, version: str, purl: str) -> Component:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
