"""Turn the text of a message into plain text and entities, with Telegram's limits and error messages.

Parse modes: HTML and MarkdownV2. The legacy mode `Markdown` is refused.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import Any

from deploy.local.telegram.calls import JsonObject, bad_request
from deploy.local.telegram.markdown import parse_markdown
from deploy.local.telegram.spans import MarkupError, Spans, byte_offset_of, utf16_length

MAX_TEXT = 4096
MAX_CAPTION = 1024

_TAGS = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
    "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "tg-spoiler": "spoiler",
    "span": "spoiler", "a": "text_link", "code": "code", "pre": "pre", "blockquote": "blockquote",
    "tg-emoji": "custom_emoji",
}  # fmt: skip
_TOKEN = re.compile(r"<(?P<close>/?)(?P<tag>[^\s<>/]*)(?P<attributes>[^<>]*)>?|&(?:#x?[0-9a-fA-F]+|lt|gt|amp|quot);")
_ATTRIBUTE = re.compile(r"""([\w-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?""")
_DETECTED = {
    "bot_command": re.compile(r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/])"),
    "mention": re.compile(r"(?<!\w)@[A-Za-z][A-Za-z0-9_]{2,31}\b"),
    "url": re.compile(r"https?://[^\s<>\"]*[\w/#=&-]"),
}


@dataclass(frozen=True)
class FormattedText:
    """Plain text and its entities; offsets and lengths are in UTF-16 units."""

    text: str = ""
    entities: list[JsonObject] = field(default_factory=list)

    def to_json(self, name: str) -> JsonObject:
        """Return `text` with `entities`, or `caption` with `caption_entities`; empty if there is no text."""
        if not self.text:
            return {}
        entities = {"text": "entities", "caption": "caption_entities"}[name]
        return {name: self.text} | ({entities: self.entities} if self.entities else {})


def parse(source: str, parse_mode: str | None = None, given: Any = None) -> FormattedText:
    """Return the formatted text of a call; raise 400 for broken markup."""
    spans = Spans()
    try:
        if given is not None:
            spans.add_text(source)
            spans.take(given)
        elif parse_mode is None:
            spans.add_text(source)
        elif parse_mode.casefold() == "html":
            _parse_html(source, spans)
        elif parse_mode.casefold() == "markdownv2":
            parse_markdown(source, spans)
        else:
            raise bad_request("unsupported parse_mode")
    except MarkupError as error:
        raise bad_request(f"can't parse entities: {error}") from error
    text, entities = spans.trimmed()
    return FormattedText(text, _with_detected(text, entities))


def parse_text(source: str | None, parse_mode: str | None = None, given: Any = None) -> FormattedText:
    """Return the text of a message: 1 to 4096 UTF-16 units after parsing."""
    formatted = parse(source or "", parse_mode, given)
    if not formatted.text:
        raise bad_request("message text is empty")
    if utf16_length(formatted.text) > MAX_TEXT:
        raise bad_request("message is too long")
    return formatted


def parse_caption(source: str | None, parse_mode: str | None = None, given: Any = None) -> FormattedText:
    """Return the caption of a message: at most 1024 UTF-16 units after parsing."""
    formatted = parse(source or "", parse_mode, given)
    if utf16_length(formatted.text) > MAX_CAPTION:
        raise bad_request("message caption is too long")
    return formatted


def _parse_html(source: str, spans: Spans) -> None:
    position = 0
    for token in _TOKEN.finditer(source):
        spans.add_text(source[position : token.start()])
        position = token.end()
        offset = byte_offset_of(source, token.start())
        if token[0].startswith("&"):
            spans.add_text(html.unescape(token[0]))
        elif token["close"]:
            _close_tag(token["tag"].casefold(), spans, offset)
        else:
            _open_tag(token, spans, offset)
    spans.add_text(source[position:])
    if spans.open:
        raise MarkupError(f'Can\'t find end tag corresponding to start tag "{spans.open[-1].token}"')


def _open_tag(token: re.Match[str], spans: Spans, offset: int) -> None:
    tag = token["tag"].casefold()
    attributes = {
        match[1].casefold(): html.unescape(match[2] or match[3] or match[4] or "")
        for match in _ATTRIBUTE.finditer(token["attributes"])
    }
    if tag not in _TAGS or (tag == "span" and attributes.get("class") != "tg-spoiler"):
        raise MarkupError(f'Unsupported start tag "{tag}" at byte offset {offset}')
    if not token[0].endswith(">"):
        raise MarkupError(f"Unclosed start tag at byte offset {offset}")
    kind, details = _TAGS[tag], {}
    if kind == "text_link":
        details["url"] = attributes.get("href", "")
    elif kind == "custom_emoji":
        details["custom_emoji_id"] = attributes.get("emoji-id", "")
    elif kind == "blockquote" and "expandable" in attributes:
        kind = "expandable_blockquote"
    elif kind == "code" and attributes.get("class", "").startswith("language-"):
        details["language"] = attributes["class"].removeprefix("language-")
    spans.begin(tag, kind, details)


def _close_tag(tag: str, spans: Spans, offset: int) -> None:
    if not spans.open:
        raise MarkupError(f"Unexpected end tag at byte offset {offset}")
    if tag != spans.open[-1].token:
        raise MarkupError(
            f'Unmatched end tag at byte offset {offset}, expected "</{spans.open[-1].token}>", found "</{tag}>"'
        )
    closed = spans.open[-1]
    language = closed.details.pop("language", None) if closed.kind == "code" else None
    outer = spans.open[-2] if len(spans.open) > 1 else None
    if language and outer and outer.kind == "pre" and outer.start == closed.start:
        outer.details["language"] = language
        spans.forget()
    else:
        spans.end()


def _with_detected(text: str, entities: list[JsonObject]) -> list[JsonObject]:
    """Add what Telegram detects by itself: commands, mentions and addresses outside code and links."""
    taken = [(entity["offset"], entity["offset"] + entity["length"]) for entity in entities
             if entity["type"] in ("code", "pre", "text_link", "url", "bot_command", "mention")]  # fmt: skip
    found = list(entities)
    for kind, pattern in _DETECTED.items():
        for match in pattern.finditer(text):
            start, length = utf16_length(text[: match.start()]), utf16_length(match[0])
            if not any(start < end and begin < start + length for begin, end in taken):
                taken.append((start, start + length))
                found.append({"type": kind, "offset": start, "length": length})
    return sorted(found, key=lambda entity: (entity["offset"], -entity["length"]))
