"""Read the deployer's policies (deploy/policies/) for a service of any prefix."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy.service import DEFAULT_PREFIX, Service

FOLDER = Path(__file__).parents[1] / "policies"
Statement = dict[str, Any]


def statements(service: Service) -> Iterator[Statement]:
    """Yield the statements of every policy; actions and resources are lists."""
    for path in sorted(FOLDER.glob("*.json")):
        text = path.read_text(encoding="utf-8").replace(DEFAULT_PREFIX, service.prefix)
        for statement in json.loads(text)["Statement"]:
            yield {**statement, **{part: _list(statement[part]) for part in ("Action", "Resource")}}


def _list(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]
