"""Parse MarkdownV2, in which every reserved character must be escaped."""

from __future__ import annotations

from deploy.local.telegram.spans import MarkupError, Spans, byte_offset_of

_RESERVED = "_*[]()~`>#+-=|{}.!"
# Longest tokens first: `__` is underline, `_` italic.
_TOGGLES = {
    "||": "spoiler", "__": "underline", "_": "italic", "*": "bold", "~": "strikethrough",
}  # fmt: skip
_NAMES = {
    "spoiler": "Spoiler", "underline": "Underline", "italic": "Italic", "bold": "Bold", "pre": "Pre", "code": "Code",
    "strikethrough": "Strikethrough", "text_link": "TextUrl", "blockquote": "BlockQuote",
}  # fmt: skip


def parse_markdown(source: str, spans: Spans) -> None:
    """Fill `spans` from MarkdownV2; raise MarkupError in Telegram's words."""
    position = 0
    while position < len(source):
        position = _step(source, position, spans)
    while spans.open and spans.open[-1].kind == "blockquote":
        spans.end()
    if spans.open:
        span = spans.open[-1]
        raise MarkupError(f"Can't find end of {_NAMES[span.kind]} entity at byte offset {span.byte_offset}")


def _step(source: str, position: int, spans: Spans) -> int:
    """Read one character or token; return where the next one starts."""
    character = source[position]
    if character == "\\" and position + 1 < len(source) and ord(source[position + 1]) <= 126:
        spans.add_text(source[position + 1])
        return position + 2
    if source.startswith("`", position):
        return _code(source, position, spans)
    if character == "\n":
        return _line_end(source, position, spans)
    if character == ">" and position == 0:
        spans.begin(">", "blockquote")
        return position + 1
    if character not in _RESERVED:
        spans.add_text(character)
        return position + 1
    return _markup(source, position, spans)


def _markup(source: str, position: int, spans: Spans) -> int:
    innermost = spans.open[-1].token if spans.open else ""
    for token, kind in _TOGGLES.items():
        if source.startswith(token, position):
            if innermost == token:
                spans.end()
            else:
                spans.begin(token, kind, byte_offset=byte_offset_of(source, position))
            return position + len(token)
    if source[position] == "[":
        spans.begin("[", "text_link", byte_offset=byte_offset_of(source, position))
        return position + 1
    if source[position] == "]" and innermost == "[":
        return _link_end(source, position, spans)
    raise MarkupError(f"Character '{source[position]}' is reserved and must be escaped with the preceding '\\'")


def _code(source: str, position: int, spans: Spans) -> int:
    """Read `code` or a block between three backticks, where only backtick and backslash are special."""
    fence = "```" if source.startswith("```", position) else "`"
    kind, details = ("pre" if fence == "```" else "code"), {}
    byte_offset = byte_offset_of(source, position)
    position += len(fence)
    if kind == "pre":
        language, newline, _ = source[position:].partition("\n")
        if newline and language and not any(sign.isspace() or sign == "`" for sign in language):
            details["language"] = language
            position += len(language)
        if source.startswith("\n", position):
            position += 1
    spans.begin(fence, kind, details, byte_offset)
    while position < len(source) and not source.startswith(fence, position):
        position += source[position] == "\\" and position + 1 < len(source)
        spans.add_text(source[position])
        position += 1
    if position >= len(source):
        raise MarkupError(f"Can't find end of {_NAMES[kind]} entity at byte offset {byte_offset}")
    spans.end()
    return position + len(fence)


def _link_end(source: str, position: int, spans: Spans) -> int:
    """Read the address after a link's text; without an address, it stays plain text."""
    position += 1
    url = ""
    if source.startswith("(", position):
        position += 1
        while position < len(source) and source[position] != ")":
            position += source[position] == "\\" and position + 1 < len(source)
            url += source[position]
            position += 1
        if position >= len(source):
            raise MarkupError(f"Can't find end of a URL at byte offset {byte_offset_of(source, position)}")
        position += 1
    spans.end(url=url)
    return position


def _line_end(source: str, position: int, spans: Spans) -> int:
    """Read a newline; a quote continues if the next line also starts with `>`, otherwise it ends here."""
    quoted = source.startswith(">", position + 1)
    inside = bool(spans.open) and spans.open[-1].kind == "blockquote"
    if inside and not quoted:
        spans.end()
    spans.add_text("\n")
    if quoted and not inside:
        spans.begin(">", "blockquote")
    return position + (2 if quoted else 1)
