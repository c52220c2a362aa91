"""Parse a Telegram update into what it means to this bot. Everything a stranger can send arrives here."""

import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from telegram import CallbackQuery, Chat, ExternalReplyInfo, Message, Update, User

# Limit of the ids of chats, messages and people: DynamoDB, SQS and the Bot API all take as much.
_LARGEST_ID = 2**63 - 1
_CAPTION_LENGTH = 1024
_FILE_ID = re.compile(r"[!-~]{1,500}", re.ASCII)
# Half of a surrogate pair: JSON can hold it, but nothing can send or store it.
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_LANGUAGE = re.compile(r"[a-zA-Z]{2,3}(-[a-zA-Z0-9]{1,8}){0,3}", re.ASCII)
_ALBUM = re.compile(r"[!-~]{1,64}", re.ASCII)
_USERNAME = re.compile(r"\w{1,32}", re.ASCII)
_MENTION = re.compile(r"(?<!\w)@(\w{1,32})", re.ASCII)
_CAPTION_TO = re.compile(r"/\w{1,32}@(\w{1,32})", re.ASCII)
# What a button of an answer holds.
_OF_ANSWER = re.compile(r"[a-z]+:([0-9a-f]{32}):")
_QUERY_ID = re.compile(r"[!-~]{1,200}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What every message has. `sent_at` is when its sender sent it, in UTC.

    `sender_id` is a user's, None for a channel's; `language` is what that user's app speaks ("de", "pt-br"), if known;
    `thread_id` is the topic of the group. `in_group`: other people talk there, too; `names` are the @names in the
    message, in lower case and without the @; `reply_to` is the id of the user whose message this one answers.
    `sender_name` is the sender's @name in lower case; `sender_chat` is the channel or group that speaks, if it isn't a
    user: then `sender_id` is one that all channels share.
    """

    chat_id: int
    message_id: int
    sent_at: datetime
    sender_id: int | None = None
    language: str = ""
    thread_id: int | None = None
    in_group: bool = False
    names: frozenset[str] = frozenset()
    reply_to: int | None = None
    sender_name: str = ""
    sender_chat: int | None = None

    @property
    def age_seconds(self) -> float:
        """Return how long ago it was sent."""
        return (datetime.now(UTC) - self.sent_at).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo(_Said):
    """An image for the model. `file_bytes` is the size that Telegram states, if any.

    `as_file`: it was sent as a file, not as a photo; `declared` is the type that its sender states for that, such as
    "image/heic". `clip`: it is an animation or a video. `caption` is what the sender says about it; `album` is
    the same for all photos of an album. `author_id` is the user who sent it, if somebody else asks about it. `spoiler`:
    it is hidden until somebody taps it.
    """

    file_id: str
    file_unique_id: str
    file_bytes: int | None
    as_file: bool = False
    clip: bool = False
    declared: str = ""
    caption: str = ""
    album: str = ""
    author_id: int | None = None
    spoiler: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction(_Said):
    """What somebody makes of the caption of a photo, or of a question about one, that they sent before.

    `sent_at` is when they edited it.
    """

    photo: Photo


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(_Said):
    """A command such as /start, without its slash; `to` is the bot named after its @, `argument` what follows.

    `about` is the image in the message that it replies to.
    """

    name: str
    to: str = ""
    argument: str = ""
    about: Photo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Other(_Said):
    """A message that holds no photo; `kind` says what it is, such as "sticker".

    `about` is the image in the message that a text replies to, `answer_id` that message if it is a bot's; `answered` is
    the id of the prediction that its buttons hold. `asks`: the text is a question.
    """

    kind: str
    about: Photo | None = None
    asks: bool = False
    text: str = ""
    answered: str = ""
    answer_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest(_Said):
    """A message that calls the bot in a chat it is not in. `query_id` is for the answer.

    `about` is the image in it, or in the message that it replies to.
    """

    query_id: str
    about: Photo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """A pressed button of a message of the bot's. `query_id` is for the answer, `data` is what the button holds.

    `asked_by` sent the message that the bot's message answers; None if Telegram doesn't say, or it was deleted. `gone`:
    the message has no such button, because it has changed since or an altered app sends what it likes. Of a message
    that the bot sent as a guest, it is told no more than the `inline_message_id`: the chat and the message are 0.
    """

    chat_id: int
    message_id: int
    query_id: str
    data: str
    pressed_by: int
    asked_by: int | None = None
    gone: bool = False
    language: str = ""
    inline_message_id: str = ""
    presser_name: str = ""
    thread_id: int | None = None


class NotJson(ValueError):
    """The body is not JSON."""


class Malformed(ValueError):
    """The body is JSON, but not an update of the Bot API."""


Incoming = Photo | Correction | Command | Other | Guest | Press

# In Telegram's order of precedence: an animation also carries a document and a venue a location, so they come first.
_OTHER_KINDS = (
    "animation", "video", "video_note", "voice", "audio", "sticker", "venue", "location", "contact", "poll", "dice",
    "story", "paid_media", "checklist", "game", "invoice", "giveaway", "giveaway_winners",
)  # fmt: skip
# What python-telegram-bot raises for JSON that is not as documented: wrong types, dates of the year 10^12, depth.
_ODD = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)


def parse(body: bytes) -> Incoming | None:
    """Return what the body of an update asks for, as `read` does. Raise NotJson or Malformed."""
    try:
        update = json.loads(_HALF_PAIR.sub("\ufffd", json.dumps(json.loads(body), ensure_ascii=False)))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise NotJson(f"not JSON: {error!r:.200}") from error
    except (RecursionError, ValueError) as error:
        # JSON nested too deep, or a number with thousands of digits.
        raise Malformed(f"no update: {error!r:.200}") from error
    return read(update)


def read(body: Any) -> Incoming | None:
    """Return what an update asks for, or None if it asks for nothing. Raise Malformed if it is not an update."""
    try:
        update = Update.de_json(body)
        if update and isinstance(update.callback_query, CallbackQuery):
            return _press(update.callback_query)
        if update and isinstance(update.guest_message, Message):
            return _guest(update.guest_message)
        if update and isinstance(update.edited_message, Message):
            return _correction(update.edited_message)
        message = update.message if update else None
        return _read_message(message) if isinstance(message, Message) else None
    except Malformed:
        raise
    except _ODD as error:
        raise Malformed(f"not an update: {error!r:.200}") from error


def _read_message(message: Message) -> Photo | Command | Other | None:
    where = _where(message)
    if image := _image(message, message.caption, where, message.media_group_id):
        return image
    if clip := message.animation or message.video_note or message.video:
        film = _file(clip, where, message.caption, message.media_group_id)
        return replace(film, clip=True, spoiler=bool(message.has_media_spoiler))
    for kind in _OTHER_KINDS:
        if getattr(message, kind):
            return Other(**where, kind=kind.replace("_", " "))
    if message.text:
        about = _replied_to(message, where)
        # "/start@this_bot now" -> "start"
        first, *rest = message.text.split(maxsplit=1) or [""]
        name, _, to = first.partition("@")
        if name.startswith("/"):
            argument = "".join(rest).strip()
            return Command(**where, name=name[1:].lower(), to=to.lower(), argument=argument, about=about)
        text, asks = message.text[:_CAPTION_LENGTH], "?" in message.text or "؟" in message.text
        return Other(**where, kind="text", about=about, asks=asks, text=text, **_answer(message))
    if message.media_group_id:
        return Other(**where, kind="album entry without a photo")
    # Somebody joined, a title changed: nothing is asked of the bot.
    return None


def _correction(message: Message) -> Correction | None:
    where = _where(message)
    photo = _image(message, message.caption, where, message.media_group_id) or _replied_to(message, where)
    edited = message.edit_date
    return Correction(**where | {"sent_at": edited}, photo=photo) if photo and isinstance(edited, datetime) else None


def _guest(message: Message) -> Guest:
    query_id, where = message.guest_query_id, _where(message)
    if not isinstance(query_id, str) or not _QUERY_ID.fullmatch(query_id):
        raise Malformed("a guest's message without a query")
    own = _image(message, message.caption, where)
    return Guest(**where, query_id=query_id, about=own or _replied_to(message, where))


def _press(query: CallbackQuery) -> Press | None:
    """Return None for a game, and for what is no button of a message."""
    message, inline = query.message, query.inline_message_id
    if not isinstance(query.data, str) or not isinstance(query.id, str):
        return None
    if message is None:
        if not isinstance(inline, str) or not _QUERY_ID.fullmatch(inline):
            return None
        return Press(
            chat_id=0,
            message_id=0,
            query_id=query.id,
            data=query.data,
            pressed_by=_number(query.from_user.id),
            language=_language(query.from_user),
            inline_message_id=inline,
        )
    answered = _answered(message) if isinstance(message, Message) else None
    # The bot's own messages may answer each other: whose they are, the photo tells.
    asker = answered.from_user if answered and not (answered.from_user and answered.from_user.is_bot) else None
    return Press(
        chat_id=_number(message.chat.id),
        message_id=_number(message.message_id),
        query_id=query.id,
        data=query.data,
        pressed_by=_number(query.from_user.id),
        asked_by=_number(asker.id) if asker else None,
        gone=isinstance(message, Message) and not _has_button(message, query.data),
        language=_language(query.from_user),
        presser_name=_name(query.from_user),
        thread_id=_topic(message) if isinstance(message, Message) else None,
    )


def _has_button(message: Message, data: str) -> bool:
    rows = message.reply_markup.inline_keyboard if message.reply_markup else ()
    return any(button.callback_data == data for row in rows for button in row)


def _where(message: Message) -> dict[str, Any]:
    """Return the fields that every message has."""
    if not isinstance(message.date, datetime):
        raise Malformed("a message without a date")
    answered = _answered(message)
    replied = answered.from_user if answered else None
    said = message.text or message.caption or ""
    # A caption may begin with a command to the bot; a text that does is a command (see Command.to).
    called = _CAPTION_TO.match(message.caption) if message.caption else None
    return {
        "chat_id": _number(message.chat.id),
        "message_id": _number(message.message_id),
        "sent_at": message.date,
        "sender_id": _number(message.from_user.id) if message.from_user else None,
        "language": _language(message.from_user),
        "thread_id": _topic(message),
        "in_group": message.chat.type in (Chat.GROUP, Chat.SUPERGROUP),
        "names": frozenset(name.lower() for name in [*_MENTION.findall(said), *(called.groups() if called else ())]),
        "reply_to": _number(replied.id) if replied else None,
        "sender_name": _name(message.sender_chat or message.from_user),
        "sender_chat": _number(message.sender_chat.id) if message.sender_chat else None,
    }


def _answer(message: Message) -> dict[str, Any]:
    """Return which message of a bot's this one replies to, and the prediction's id that its buttons hold, if any."""
    answer = _answered(message)
    if answer is None or not (answer.from_user and answer.from_user.is_bot):
        return {}
    rows = answer.reply_markup.inline_keyboard if answer.reply_markup else ()
    held = (_OF_ANSWER.match(str(button.callback_data)) for row in rows for button in row)
    return {
        "answer_id": _number(answer.message_id),
        "answered": next((match[1] for match in held if match), ""),
    }


def _topic(message: Message) -> int | None:
    return _number(message.message_thread_id) if message.is_topic_message else None


def _answered(message: Message) -> Message | None:
    """Return the message that this one replies to.

    In a topic, what replies to nothing names the message that says that the topic was made.
    """
    answered = message.reply_to_message
    return answered if answered and not answered.forum_topic_created else None


def _replied_to(message: Message, where: dict[str, Any]) -> Photo | None:
    """Return the image in the message that this text replies to, which may stand in another chat or topic."""
    shown = _answered(message) or message.external_reply
    image = _image(shown, message.text, where) if shown else None
    return replace(image, author_id=where["reply_to"]) if image and where["reply_to"] != where["sender_id"] else image


def _image(shown: Message | ExternalReplyInfo, caption: Any, where: dict[str, Any], album: Any = None) -> Photo | None:
    """Return the photo or the file in a message, None if it has neither; `where` is of the message that asks for it."""
    if shown.photo:
        largest = max(shown.photo, key=lambda size: _number(size.width) * _number(size.height))
        return replace(_file(largest, where, caption, album), spoiler=bool(shown.has_media_spoiler))
    if not shown.document or any(getattr(shown, kind, None) for kind in _OTHER_KINDS):
        return None
    declared = shown.document.mime_type
    file = _file(shown.document, where, caption, album, declared.lower() if isinstance(declared, str) else "")
    return replace(file, as_file=True)


def _file(file: Any, where: dict[str, Any], caption: Any, album: Any, declared: str = "") -> Photo:
    for value in (file.file_id, file.file_unique_id):
        if not _FILE_ID.fullmatch(value):
            raise Malformed("not a file_id")
    return Photo(
        **where,
        file_id=file.file_id,
        file_unique_id=file.file_unique_id,
        file_bytes=None if file.file_size is None else _number(file.file_size),
        declared=declared,
        caption=caption[:_CAPTION_LENGTH] if isinstance(caption, str) else "",
        album=album if isinstance(album, str) and _ALBUM.fullmatch(album) else "",
    )


def _name(sender: User | Chat | None) -> str:
    """Return a sender's @name in lower case; empty if they have no @name."""
    name = sender.username if sender else None
    return name.lower() if isinstance(name, str) and _USERNAME.fullmatch(name) else ""


def _language(user: User | None) -> str:
    """Return what a user's app speaks, in lower case; empty if that isn't known."""
    code = user.language_code if user else None
    return code.lower() if isinstance(code, str) and _LANGUAGE.fullmatch(code) else ""


def _number(value: Any) -> int:
    if type(value) is not int or abs(value) > _LARGEST_ID:
        raise Malformed(f"{value!r:.50} where a whole number belongs")
    return value
