"""Collect text and the entities over it while markup is parsed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from deploy.local.telegram.calls import JsonObject


class MarkupError(ValueError):
    """Telegram refuses this markup; the text is what follows "can't parse entities: "."""


def utf16_length(text: str) -> int:
    """Return the length in UTF-16 units, which Telegram uses for everything else."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def byte_offset_of(source: str, position: int) -> int:
    """Return the offset in UTF-8 bytes, which Telegram's error messages use."""
    return len(source[:position].encode("utf-8", "surrogatepass"))


@dataclass
class OpenSpan:
    """An entity that has not ended yet; `token` is how the source wrote its start."""

    token: str
    kind: str
    start: int
    byte_offset: int = 0
    details: JsonObject = field(default_factory=dict)


class Spans:
    """The text so far, its finished entities, and a stack of open ones."""

    def __init__(self) -> None:
        self.text = ""
        self.length = 0
        self.open: list[OpenSpan] = []
        self._entities: list[JsonObject] = []

    def add_text(self, text: str) -> None:
        """Append plain text."""
        self.text += text
        self.length += utf16_length(text)

    def begin(self, token: str, kind: str, details: JsonObject | None = None, byte_offset: int = 0) -> None:
        """Open an entity here."""
        self.open.append(OpenSpan(token, kind, self.length, byte_offset, details or {}))

    def end(self, **details: str) -> None:
        """Close the innermost entity; an empty one is dropped."""
        span = self.open.pop()
        if self.length > span.start and not ("url" in span.details | details and not (span.details | details)["url"]):
            self._entities.append(
                {"type": span.kind, "offset": span.start, "length": self.length - span.start, **span.details, **details}
            )

    def forget(self) -> None:
        """Drop the innermost open entity."""
        self.open.pop()

    def take(self, entities: Any) -> None:
        """Use the entities given by a call."""
        if not isinstance(entities, list) or not all(
            isinstance(entity, dict) and {"type", "offset", "length"} <= entity.keys() for entity in entities
        ):
            raise MarkupError("expected an Array of MessageEntity")
        self._entities = [dict(entity) for entity in entities]

    def trimmed(self) -> tuple[str, list[JsonObject]]:
        """Return the text without surrounding white space, and the entities that remain."""
        text = self.text.strip()
        shift = utf16_length(self.text) - utf16_length(self.text.lstrip())
        length = utf16_length(text)
        entities = []
        for entity in self._entities:
            start = max(0, entity["offset"] - shift)
            end = min(length, entity["offset"] + entity["length"] - shift)
            if end > start:
                entities.append(entity | {"offset": start, "length": end - start})
        return text, entities
