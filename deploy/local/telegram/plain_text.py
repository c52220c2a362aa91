"""Turn the text of a message into plain text and the entities that Telegram detects, with its limits and errors.

Of a bot's own entities only times are taken. Others, and parse modes, are refused, so that nobody takes for sent as
meant what was not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from .calls import Call, JsonObject, bad_request

MAX_TEXT = 4096
MAX_CAPTION = 1024

_TIME_FORMAT = re.compile(r"r|w?[dD]?[tT]?")
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


def read_times(call: Call, name: str) -> list[JsonObject]:
    """Return the times that a call marks in its text. Raise 400 for any other formatting."""
    given = call.json(name) or []
    other = [each for each in given if not isinstance(each, dict) or each.get("type") != "date_time"]
    if other or call.text("parse_mode"):
        raise bad_request(f"this Telegram knows plain text and times only, not {'parse_mode' if not other else name}")
    for each in given:
        numbers = [each.get(key) for key in ("offset", "length", "unix_time")]
        if not all(isinstance(number, int) for number in numbers) or min(numbers) < 0 or not each["length"]:
            raise bad_request("can't parse MessageEntity: offset, length and unix_time are numbers")
        if not _TIME_FORMAT.fullmatch(str(each.get("date_time_format", ""))):
            raise bad_request("can't parse MessageEntity: wrong date_time_format")
    return [dict(each) for each in given]


def parse_text(source: str | None, times: Sequence[JsonObject] = ()) -> Text:
    """Return the text of a message: 1 to 4096 UTF-16 units."""
    parsed = _parse(source, times)
    if not parsed.text:
        raise bad_request("message text is empty")
    if _utf16_length(parsed.text) > MAX_TEXT:
        raise bad_request("message is too long")
    return parsed


def parse_caption(source: str | None, times: Sequence[JsonObject] = ()) -> Text:
    """Return the caption of a message: at most 1024 UTF-16 units."""
    parsed = _parse(source, times)
    if _utf16_length(parsed.text) > MAX_CAPTION:
        raise bad_request("message caption is too long")
    return parsed


def _parse(source: str | None, times: Sequence[JsonObject]) -> Text:
    text = (source or "").strip()
    if any(time["offset"] + time["length"] > _utf16_length(text) for time in times):
        raise bad_request("can't parse entities: an entity is beyond the text's end")
    return Text(text, _detected(text, times))


def _utf16_length(text: str) -> int:
    """Return the length in UTF-16 units, in which Telegram counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _detected(text: str, given: Sequence[JsonObject]) -> list[JsonObject]:
    """Return what Telegram detects next to what is given: commands, mentions and addresses, which don't overlap."""
    found = [*given]
    for kind, pattern in _DETECTED.items():
        for match in pattern.finditer(text):
            start, length = _utf16_length(text[: match.start()]), _utf16_length(match[0])
            if not any(start < one["offset"] + one["length"] and one["offset"] < start + length for one in found):
                found.append({"type": kind, "offset": start, "length": length})
    return sorted(found, key=lambda entity: int(entity["offset"]))
