"""Read the content of a message from a call: a text, or a photo or document with its caption."""

from __future__ import annotations

import mimetypes

from . import photos
from .calls import Call, JsonObject, Upload, bad_request
from .plain_text import parse_caption, parse_text, read_times
from .state import Telegram

BOT_KINDS = ("photo", "document")


def read_text(call: Call) -> JsonObject:
    """Return the content of a text message."""
    return parse_text(call.text("text"), read_times(call, "entities")).to_json("text")


def read_caption(call: Call) -> JsonObject:
    """Return the caption of a call, empty if it has none."""
    return parse_caption(call.text("caption"), read_times(call, "caption_entities")).to_json("caption")


async def read_media(telegram: Telegram, call: Call, kind: str) -> JsonObject:
    """Return the content of a photo or document message."""
    caption = read_caption(call)
    content = await _stored(telegram, call.file(call.text(kind), kind), kind) | caption | _hidden(call, kind)
    thumbnail = call.files.get("thumbnail")
    if kind == "document" and thumbnail:
        return content | {"document": content["document"] | telegram.files.add_thumbnail(thumbnail)}
    return content


async def read_input_media(telegram: Telegram, call: Call, media: object) -> JsonObject:
    """Return the content that an InputMedia object describes."""
    if not isinstance(media, dict) or media.get("type") not in BOT_KINDS or not media.get("media"):
        raise bad_request("can't parse InputMedia: an object with type photo or document and media is expected")
    fields, kind = Call(call.method, media), media["type"]
    content = await _stored(telegram, call.file(str(media["media"]), "media"), kind)
    return content | read_caption(fields) | _hidden(fields, kind)


def _hidden(call: Call, kind: str) -> JsonObject:
    """Return the field of a photo that is hidden until somebody taps it."""
    return {"has_media_spoiler": True} if kind == "photo" and call.flag("has_spoiler") else {}


async def _stored(telegram: Telegram, file: Upload | str, kind: str) -> JsonObject:
    if isinstance(file, str):
        return telegram.files.content(file, kind)
    if not file.data:
        raise bad_request("file must be non-empty")
    if kind == "document":
        guessed = mimetypes.guess_type(file.name)[0] or file.mime_type
        return telegram.files.add(kind, Upload(file.name, guessed, file.data))
    try:
        photos.check_bot_limits(file.data)
    except photos.PhotoError as error:
        raise bad_request(str(error)) from error
    return await telegram.files.add_photo(file)
