"""Turn the text of a message into plain text and the entities that Telegram detects, with its limits and errors.

Parse modes and entities of the bot's own are refused, so that nobody takes for sent as meant what was not looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .calls import Call, JsonObject, bad_request

MAX_TEXT = 4096
MAX_CAPTION = 1024

_FORMATTING = ("parse_mode", "entities", "caption_entities")
_DETECTED = {
    "bot_command": re.compile(r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/])"),
    "mention": re.compile(r"(?<!\w)@[A-Za-z][A-Za-z0-9_]{2,31}\b"),
    "url": re.compile(r"https?://[^\s<>\"]*[\w/#=&-]"),
}


@dataclass(frozen=True)
class Text:
    """Plain text and its entities; offsets and lengths are in UTF-16 units."""

    text: str = ""
    entities: list[JsonObject] = field(default_factory=list)

    def to_json(self, name: str) -> JsonObject:
        """Return `text` with `entities`, or `caption` with `caption_entities`; empty if there is no text."""
        if not self.text:
            return {}
        entities = {"text": "entities", "caption": "caption_entities"}[name]
        return {name: self.text} | ({entities: self.entities} if self.entities else {})


def refuse_formatting(call: Call) -> None:
    """Raise 400 for a call that formats its text."""
    if asked := [name for name in _FORMATTING if call.fields.get(name)]:
        raise bad_request(f"this Telegram knows plain text only, not {asked[0]}")


def parse_text(source: str | None) -> Text:
    """Return the text of a message: 1 to 4096 UTF-16 units."""
    parsed = _parse(source)
    if not parsed.text:
        raise bad_request("message text is empty")
    if _utf16_length(parsed.text) > MAX_TEXT:
        raise bad_request("message is too long")
    return parsed


def parse_caption(source: str | None) -> Text:
    """Return the caption of a message: at most 1024 UTF-16 units."""
    parsed = _parse(source)
    if _utf16_length(parsed.text) > MAX_CAPTION:
        raise bad_request("message caption is too long")
    return parsed


def _parse(source: str | None) -> Text:
    text = (source or "").strip()
    return Text(text, _detected(text))


def _utf16_length(text: str) -> int:
    """Return the length in UTF-16 units, in which Telegram counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _detected(text: str) -> list[JsonObject]:
    """Return what Telegram detects by itself: commands, mentions and addresses, which don't overlap."""
    found: list[JsonObject] = []
    for kind, pattern in _DETECTED.items():
        for match in pattern.finditer(text):
            start, length = _utf16_length(text[: match.start()]), _utf16_length(match[0])
            if not any(start < one["offset"] + one["length"] and one["offset"] < start + length for one in found):
                found.append({"type": kind, "offset": start, "length": length})
    return sorted(found, key=lambda entity: int(entity["offset"]))
