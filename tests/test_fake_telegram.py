"""The fake Telegram does to a bot what Telegram does: driven by python-telegram-bot and by a real webhook."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import os
import random
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from telegram import (
    Bot,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaDocument,
    InputMediaPhoto,
    MessageEntity,
    ReactionTypeEmoji,
    ReplyParameters,
    Update,
)
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter, TimedOut
from telegram.request import HTTPXRequest

from deploy.local.telegram.client import TelegramClientError, TelegramControl, TelegramUser

TOKEN = "123456:not-a-real-token"
SECRET = "webhook-secret"
TIME_SCALE = 0.01
ROOT = Path(__file__).parent.parent
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CHAT = 7_000_000_000  # beyond 32 bits, as many of Telegram's ids are
CERTIFICATE = b"""-----BEGIN CERTIFICATE-----
MIIBljCCATugAwIBAgIUTm9GOW9ZeEI81wTcw5e+rDYPM+MwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDA4MzQyMFoYDzIxMjYxMDMx
MDgzNDIwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATHJ26shYPPIVGkjP1eifD8hx8Wu194mfBvtwxKR6JoRDQSdoW8hE3S
g9pINj8z+HLEWh+uRUQ7FJvqdjYBUqjRo2kwZzAdBgNVHQ4EFgQU2++tSrckMlJF
x9RMpqwvK/Q/zAQwHwYDVR0jBBgwFoAU2++tSrckMlJFx9RMpqwvK/Q/zAQwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SQAwRgIhAMkujoCh8Q5Atkj2dsliAtJgs3c6cCqsda1E3rhC3ZAoAiEA9OLLM329
yfgiwGc5kMnrX6lpD814BAhdC/AYqfmRvik=
-----END CERTIFICATE-----
"""

Result = TypeVar("Result")


class Webhook:
    """A real webhook that remembers what it got and answers what it is told to, 200 otherwise."""

    def __init__(self) -> None:
        self.received: list[tuple[float, str | None, bytes]] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.answer_chat: dict[int, int] = {}
        self.changed = threading.Condition()
        self.speaks = threading.Event()
        self.speaks.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.speaks.wait(10)
                status, headers, content = outer.take(body, self.headers["X-Telegram-Bot-Api-Secret-Token"])
                self.send_response(status)
                for name, value in (headers | {"Content-Length": str(len(content))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/telegram/webhook"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def take(self, body: bytes, secret: str | None) -> tuple[int, dict[str, str], bytes]:
        with self.changed:
            self.received.append((time.monotonic(), secret, body))
            self.changed.notify_all()
            for chat_id, status in self.answer_chat.items():
                if f'"id": {chat_id},'.encode() in body:
                    return status, {}, b""
            return self.answers.pop(0) if self.answers else (200, {}, b"")

    def answer(self, *statuses: int, body: bytes = b"", **headers: str) -> None:
        self.answers += [(status, {name.replace("_", "-"): text for name, text in headers.items()}, body)
                         for status in statuses]  # fmt: skip

    def updates(self, count: int) -> list[Update]:
        """Return what was received once there are `count` updates."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.received) >= count, 10), f"{len(self.received)} of {count}"
            return [Update.de_json(json.loads(body), None) for _, _, body in self.received]

    def texts(self, count: int) -> list[str | None]:
        messages = [update.effective_message for update in self.updates(count)]
        return [message.text if message else None for message in messages]

    def wait_for_text(self, text: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: any(text.encode() in body for _, _, body in self.received), 10), text

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Fake:
    """The running server, and a bot that talks to it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.control = TelegramControl(url)

    def user(self, chat_id: int = CHAT, **details: Any) -> TelegramUser:
        return TelegramUser(self.url, chat_id, **details)

    def bot(self, action: Callable[[Bot], Awaitable[Result]], token: str = TOKEN, **timeouts: Any) -> Result:
        """Let an unmodified python-telegram-bot do something."""

        async def run() -> Result:
            requests = [HTTPXRequest(httpx_kwargs={"verify": TLS}, **timeouts) for _ in range(2)]
            bot = Bot(token, f"{self.url}/bot", f"{self.url}/file/bot", requests[0], requests[1])
            for request in requests:
                await request.initialize()
            try:
                return await action(bot)
            finally:
                for request in requests:
                    await request.shutdown()

        # Playwright keeps an event loop running in the main thread, so the bot gets a thread of its own.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: asyncio.run(run())).result()

    def api(self, method: str, token: str = TOKEN, **details: Any) -> httpx.Response:
        return httpx.post(f"{self.url}/bot{token}/{method}", verify=TLS, **details)


def start_server(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.local.telegram", "--port", "0", *arguments],
        cwd=ROOT,
        env=os.environ | {"TELEGRAM_TOKEN": TOKEN},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    return process, process.stdout.readline().strip()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fake]:
    log = (tmp_path_factory.mktemp("telegram") / "log").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.local.telegram", "--port", "0", "--time-scale", str(TIME_SCALE)],
        cwd=ROOT,
        env=os.environ | {"TELEGRAM_TOKEN": TOKEN},
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    with process, log:
        assert process.stdout
        yield Fake(process.stdout.readline().split()[-1])
        process.terminate()
        assert process.wait(10) == 0
        log.seek(0)
        written = log.read()
    assert "sendMessage" in written
    assert TOKEN not in written
    assert "Traceback" not in written, written[written.index("Traceback") - 500 :][:5000]


@pytest.fixture
def telegram(server: Fake, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """A server as if nobody had used it, with updates waiting for getUpdates."""
    # Without this, python-telegram-bot 22.8 warns of the coming type of RetryAfter.retry_after.
    monkeypatch.setenv("PTB_TIMEDELTA", "1")
    yield server
    server.control.reset(setup=True)


@pytest.fixture
def webhook(telegram: Fake) -> Iterator[Webhook]:
    """A webhook that the bot has set."""
    receiver = Webhook()
    telegram.bot(lambda bot: bot.set_webhook(receiver.url, secret_token=SECRET, allowed_updates=[]))
    yield receiver
    telegram.control.reset()
    receiver.close()


def picture(width: int = 640, height: int = 480, picture_format: str = "JPEG", **details: Any) -> bytes:
    """Return a picture whose top left quarter is red."""
    image = Image.new("RGB", (width, height), "white")
    image.paste("red", (0, 0, width // 2, height // 2))
    buffer = io.BytesIO()
    image.save(buffer, picture_format, **details)
    return buffer.getvalue()


def keyboard(data: str = "again", text: str = "Again") -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup([[InlineKeyboardButton(text, callback_data=data)]])


def polled(telegram: Fake) -> list[Update]:
    return list(telegram.bot(lambda bot: bot.get_updates()))


# --- the bot's side -------------------------------------------------------------------------------------------------


def test_the_bot_is_the_one_its_token_names(telegram: Fake) -> None:
    me = telegram.bot(lambda bot: bot.get_me())
    assert (me.id, me.is_bot, me.username) == (123456, True, "object_detection_bot")


def test_a_wrong_token_is_401_and_an_unknown_method_404(telegram: Fake) -> None:
    with pytest.raises(InvalidToken):
        telegram.bot(lambda bot: bot.get_me(), token="123456:wrong")
    assert telegram.api("getMe", token="wrong").json() == {
        "ok": False, "error_code": 401, "description": "Unauthorized",
    }  # fmt: skip
    assert telegram.api("inventSomething").status_code == 404
    assert httpx.get(f"{telegram.url}/file/botwrong/photos/file_1.jpg", verify=TLS).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"chat_id": str(CHAT), "text": "hello"}},
        {"json": {"chat_id": CHAT, "text": "hello"}},
        {"data": {"chat_id": str(CHAT), "text": "hello"}, "files": {"ignored": ("a.txt", b"x")}},
        {"params": {"chat_id": CHAT, "text": "hello"}},
    ],
    ids=["form", "json", "multipart", "address"],
)
def test_parameters_come_in_every_way_that_telegram_reads(telegram: Fake, body: dict[str, Any]) -> None:
    answer = telegram.api("sendmessage", **body).json()
    assert answer["ok"] is True
    assert [message.text for message in telegram.user().messages()] == ["hello"]


def test_a_sent_message_is_the_one_the_person_sees(telegram: Fake) -> None:
    asked = telegram.user().send_text("what is this?")
    sent = telegram.bot(
        lambda bot: bot.send_message(CHAT, "a <b>cat</b>", "HTML", reply_to_message_id=asked, reply_markup=keyboard())
    )
    seen = telegram.user().wait_for_reply(asked, 5)
    assert (sent.message_id, sent.chat_id, sent.text) == (seen.message_id, CHAT, "a cat")
    assert sent.reply_to_message
    assert sent.reply_to_message.message_id == asked
    assert sent.entities == (MessageEntity("bold", 2, 3),)
    assert [(button.text, button.data) for button in seen.buttons] == [("Again", "again")]
    assert seen.from_bot
    assert not seen.edited


@pytest.mark.parametrize(
    ("text", "mode", "plain", "entities"),
    [
        ("<b>1 &lt; 2</b> &amp; x", "HTML", "1 < 2 & x", [("bold", 0, 5)]),
        ("😀 <i>a <u>b</u></i>", "HTML", "😀 a b", [("italic", 3, 3), ("underline", 5, 1)]),
        ('<pre><code class="language-python">x</code></pre>', "HTML", "x", [("pre", 0, 1)]),
        ('  <a href="https://e.org/?a=1&amp;b=2">link</a>', "HTML", "link", [("text_link", 0, 4)]),
        ("/start https://e.org @botname", None, "/start https://e.org @botname",
         [("bot_command", 0, 6), ("url", 7, 13), ("mention", 21, 8)]),
        (r"*bold _both_* 1\.5", "MarkdownV2", "bold both 1.5", [("bold", 0, 9), ("italic", 5, 4)]),
        ("__u__ ~s~ ||p||", "MarkdownV2", "u s p", [("underline", 0, 1), ("strikethrough", 2, 1), ("spoiler", 4, 1)]),
        ("`a*b` [t](https://e.org/\\))", "MarkdownV2", "a*b t", [("code", 0, 3), ("text_link", 4, 1)]),
        ("```python\nx = 1\n```", "MarkdownV2", "x = 1", [("pre", 0, 5)]),
        (">quote\n>more\nafter", "MarkdownV2", "quote\nmore\nafter", [("blockquote", 0, 10)]),
    ],
)  # fmt: skip
def test_markup_becomes_entities(
    telegram: Fake, text: str, mode: str | None, plain: str, entities: list[tuple[str, int, int]]
) -> None:
    sent = telegram.bot(lambda bot: bot.send_message(CHAT, text, mode))
    assert sent.text == plain
    assert [(entity.type, entity.offset, entity.length) for entity in sent.entities] == entities


@pytest.mark.parametrize(
    ("text", "mode", "complaint"),
    [
        ("<b>open", "HTML", 'Can\'t find end tag corresponding to start tag "b"'),
        ("a <x>", "HTML", 'Unsupported start tag "x" at byte offset 2'),
        ("1 < 2", "HTML", 'Unsupported start tag "" at byte offset 2'),
        ("é</b>", "HTML", "Unexpected end tag at byte offset 2"),
        ("<b><i>x</b></i>", "HTML", 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"'),
        ("0.87", "MarkdownV2", "Character '.' is reserved and must be escaped with the preceding '\\'"),
        ("a *b", "MarkdownV2", "Can't find end of Bold entity at byte offset 2"),
    ],
)
def test_broken_markup_is_refused(telegram: Fake, text: str, mode: str, complaint: str) -> None:
    answer = telegram.api("sendMessage", json={"chat_id": CHAT, "text": text, "parse_mode": mode})
    assert (answer.status_code, answer.json()["description"]) == (
        400, f"Bad Request: can't parse entities: {complaint}",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("action", "complaint"),
    [
        (lambda bot: bot.send_message(CHAT, "x" * 4097), "Message is too long"),
        (lambda bot: bot.send_message(CHAT, "<b> </b>", "HTML"), "Message text is empty"),
        (lambda bot: bot.send_message("@nobody", "x"), "Chat not found"),
        (lambda bot: bot.send_photo(CHAT, picture(), "<b>" + "😀" * 513 + "</b>", parse_mode="HTML"),
         "Message caption is too long"),
        (lambda bot: bot.send_message(CHAT, "x", reply_markup=keyboard("x" * 65)), "Button_data_invalid"),
        (lambda bot: bot.send_photo(CHAT, b"x" * ((10 << 20) + 1)),
         "File of size 10485761 bytes is too big for a photo; the maximum size is 10485760 bytes"),
        (lambda bot: bot.send_photo(CHAT, picture(9001, 1000, "PNG")), "Photo_invalid_dimensions"),
        (lambda bot: bot.send_photo(CHAT, picture(2100, 100)), "Photo_invalid_dimensions"),
        (lambda bot: bot.send_photo(CHAT, b"no picture"), "Image_process_failed"),
        (lambda bot: bot.send_photo(CHAT, picture()[:3000]), "Image_process_failed"),
        (lambda bot: bot.send_document(CHAT, b""), "File must be non-empty"),
        (lambda bot: bot.send_photo(CHAT, "AgACnothing"),
         "Wrong remote file identifier specified: wrong string length"),
        (lambda bot: bot.send_chat_action(CHAT, "dancing"), "Wrong parameter action in request"),
        (lambda bot: bot.get_file("nothing"), "Wrong file_id or the file is temporarily unavailable"),
        (lambda bot: bot.edit_message_text("x", CHAT, 1), "Message to edit not found"),
        (lambda bot: bot.delete_message(CHAT, 1), "Message to delete not found"),
        (lambda bot: bot.answer_callback_query("1"),
         "Query is too old and response timeout expired or query id is invalid"),
        (lambda bot: bot.set_webhook("https://e.org/", secret_token="a.b"),
         "Secret token contains unallowed characters"),
    ],
)  # fmt: skip
def test_telegrams_limits_hold(telegram: Fake, action: Callable[[Bot], Awaitable[Any]], complaint: str) -> None:
    with pytest.raises(BadRequest) as raised:
        telegram.bot(action)
    assert str(raised.value).casefold() == complaint.casefold()
    assert telegram.user().messages() == []


def test_a_text_and_a_caption_at_their_limits_are_sent(telegram: Fake) -> None:
    text, caption = "😀" * 2048, "<b>" + "x" * 1024 + "</b>"
    assert telegram.bot(lambda bot: bot.send_message(CHAT, text)).text == text
    assert telegram.bot(lambda bot: bot.send_photo(CHAT, picture(), caption, parse_mode="HTML")).caption == "x" * 1024


def test_a_bots_photo_is_seen_as_jpeg_of_at_most_1280_pixels(telegram: Fake) -> None:
    sent = telegram.bot(lambda bot: bot.send_photo(CHAT, picture(2000, 1000, "PNG"), filename="result.png"))
    seen = telegram.user().wait_for(lambda message: message.message_id == sent.message_id, 5)
    image = Image.open(io.BytesIO(telegram.user().download(seen)))
    assert (image.format, image.size) == ("JPEG", (1280, 640))
    assert [(size.width, size.height) for size in sent.photo] == [(90, 45), (320, 160), (800, 400), (1280, 640)]


def test_a_reply_to_a_message_that_is_gone_needs_permission(telegram: Fake) -> None:
    user = telegram.user()
    gone = user.send_text("never mind")
    user.delete(gone)
    with pytest.raises(BadRequest, match="Message to be replied not found"):
        telegram.bot(lambda bot: bot.send_message(CHAT, "x", reply_parameters=ReplyParameters(gone)))
    allowed = ReplyParameters(gone, allow_sending_without_reply=True)
    assert telegram.bot(lambda bot: bot.send_message(CHAT, "x", reply_parameters=allowed)).reply_to_message is None


def test_an_edit_changes_the_message_and_drops_buttons_it_does_not_repeat(telegram: Fake) -> None:
    sent = telegram.bot(lambda bot: bot.send_message(CHAT, "looking", reply_markup=keyboard()))
    edited = telegram.bot(lambda bot: bot.edit_message_text("found", CHAT, sent.message_id))
    (seen,) = telegram.user().messages()
    assert (seen.text, seen.buttons, seen.edited) == ("found", (), True)
    assert isinstance(edited, type(sent))
    assert edited.edit_date
    with pytest.raises(BadRequest, match="Message is not modified"):
        telegram.bot(lambda bot: bot.edit_message_text("found", CHAT, sent.message_id))


def test_buttons_alone_can_be_changed_without_an_edit_mark(telegram: Fake) -> None:
    sent = telegram.bot(lambda bot: bot.send_message(CHAT, "x"))
    telegram.bot(lambda bot: bot.edit_message_reply_markup(CHAT, sent.message_id, reply_markup=keyboard()))
    (seen,) = telegram.user().messages()
    assert ([button.data for button in seen.buttons], seen.edited) == (["again"], False)


def test_a_status_text_can_become_the_photo(telegram: Fake) -> None:
    sent = telegram.bot(lambda bot: bot.send_message(CHAT, "looking"))
    media = InputMediaPhoto(picture(), caption="1 cat")
    telegram.bot(lambda bot: bot.edit_message_media(media, CHAT, sent.message_id))
    (seen,) = telegram.user().messages()
    assert (seen.message_id, seen.text, seen.caption, seen.photo and seen.photo.width) == (
        sent.message_id, None, "1 cat", 640,
    )  # fmt: skip
    telegram.bot(lambda bot: bot.edit_message_caption(CHAT, sent.message_id, caption="2 cats"))
    assert [message.caption for message in telegram.user().messages()] == ["2 cats"]
    with pytest.raises(BadRequest, match="There is no text in the message to edit"):
        telegram.bot(lambda bot: bot.edit_message_text("x", CHAT, sent.message_id))


def test_a_persons_message_cannot_be_edited_but_deleted(telegram: Fake) -> None:
    message_id = telegram.user().send_text("mine")
    with pytest.raises(BadRequest, match="Message can't be edited"):
        telegram.bot(lambda bot: bot.edit_message_text("x", CHAT, message_id))
    assert telegram.bot(lambda bot: bot.delete_message(CHAT, message_id)) is True
    assert telegram.user().messages() == []


def test_an_album_of_the_bot_is_separate_messages_of_one_group(telegram: Fake) -> None:
    media = [InputMediaPhoto(picture(), caption="two"), InputMediaPhoto(picture(300, 300))]
    sent = telegram.bot(lambda bot: bot.send_media_group(CHAT, media))
    seen = telegram.user().messages()
    assert [message.caption for message in seen] == ["two", None]
    assert len({message.media_group_id for message in seen} | {message.media_group_id for message in sent}) == 1
    with pytest.raises(BadRequest, match="Document can't be mixed"):
        telegram.bot(lambda bot: bot.send_media_group(CHAT, [media[0], InputMediaDocument(b"x")]))


def test_a_file_id_sends_the_same_file_again(telegram: Fake) -> None:
    sent = telegram.bot(lambda bot: bot.send_document(CHAT, b"data", filename="boxes.json"))
    assert sent.document
    file_id = sent.document.file_id
    again = telegram.bot(lambda bot: bot.send_document(CHAT + 1, file_id))
    assert again.document == sent.document
    with pytest.raises(BadRequest, match="Can't use file of type document as photo"):
        telegram.bot(lambda bot: bot.send_photo(CHAT, file_id))


def test_commands_reactions_and_chats_can_be_set_and_read(telegram: Fake) -> None:
    message_id = telegram.user().send_text("hello")
    telegram.bot(lambda bot: bot.set_my_commands([("help", "How it works")]))
    assert [command.command for command in telegram.bot(lambda bot: bot.get_my_commands())] == ["help"]
    telegram.bot(lambda bot: bot.set_message_reaction(CHAT, message_id, ReactionTypeEmoji("👍")))
    assert [message.reaction for message in telegram.user().messages()] == ["👍"]
    assert telegram.bot(lambda bot: bot.get_chat(CHAT)).type == "private"
    assert telegram.bot(lambda bot: bot.get_chat(-1_001_234_567_890)).type == "supergroup"


# --- the person's side ----------------------------------------------------------------------------------------------


def test_a_command_reaches_the_bot_as_one(telegram: Fake) -> None:
    message_id = telegram.user(language_code="he").send_text("/start")
    (update,) = polled(telegram)
    message = update.message
    assert message
    assert message.from_user
    assert (message.message_id, message.chat_id, message.text) == (message_id, CHAT, "/start")
    assert message.entities == (MessageEntity("bot_command", 0, 6),)
    assert (message.from_user.id, message.from_user.language_code) == (CHAT, "he")


def test_a_persons_photo_arrives_upright_and_reencoded_in_sizes(telegram: Fake) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the picture must be rotated by 90 degrees to be upright
    telegram.user().send_photo(picture(2400, 1600, exif=exif), caption="look & tell")
    (update,) = polled(telegram)
    assert update.message
    assert update.message.caption == "look & tell"
    photo = update.message.photo
    sizes = [(size.width, size.height) for size in photo]
    assert sizes == [(60, 90), (213, 320), (533, 800), (853, 1280)]

    async def download(bot: Bot) -> tuple[str | None, bytes]:
        file = await bot.get_file(photo[-1].file_id)
        return file.file_path, bytes(await file.download_as_bytearray())

    path, data = telegram.bot(download)
    image = Image.open(io.BytesIO(data))
    assert path
    assert path.startswith(f"{telegram.url}/file/bot{TOKEN}/photos/file_")
    assert (image.format, image.size, image.getexif().get(0x0112)) == ("JPEG", (853, 1280), None)
    assert image.getpixel((700, 100)) == pytest.approx((255, 0, 0), abs=8)


@pytest.mark.parametrize(
    ("mode", "color"), [("CMYK", None), ("L", 128), ("P", 3), ("RGBA", (0, 0, 0, 0)), ("I;16", 32768), ("LA", (9, 0))]
)
def test_photos_of_every_mode_arrive_as_jpeg(telegram: Fake, mode: str, color: Any) -> None:
    buffer = io.BytesIO()
    Image.new(mode, (100, 50), color or 0).save(buffer, "TIFF" if mode == "CMYK" else "PNG")
    message_id = telegram.user().send_photo(buffer.getvalue())
    message = telegram.user().message(message_id)
    assert message
    image = Image.open(io.BytesIO(telegram.user().download(message)))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (100, 50))


def test_the_same_picture_has_a_new_file_id_and_the_same_unique_id(telegram: Fake) -> None:
    user = telegram.user()
    user.send_photo(picture())
    user.send_photo(picture())
    first, second = (message.photo for message in user.messages())
    assert first
    assert second
    assert first.file_id != second.file_id
    assert first.file_unique_id == second.file_unique_id


def test_a_document_keeps_its_bytes_name_and_claimed_type(telegram: Fake) -> None:
    data = random.Random(1).randbytes(5000)
    telegram.user().send_document(data, "photo.heic", "image/heic", caption="a file")
    (update,) = polled(telegram)
    assert update.message
    assert update.message.document
    document = update.message.document
    assert (document.file_name, document.mime_type, document.file_size) == ("photo.heic", "image/heic", 5000)

    async def download(bot: Bot) -> bytes:
        return bytes(await (await bot.get_file(document.file_id)).download_as_bytearray())

    assert telegram.bot(download) == data


def test_a_file_above_20_mib_arrives_but_cannot_be_fetched(telegram: Fake) -> None:
    telegram.user().send_document(b"x" * ((20 << 20) + 1), "big.jpg", "image/jpeg")
    (update,) = polled(telegram)
    document = update.message and update.message.document
    assert document
    assert document.file_size == (20 << 20) + 1
    with pytest.raises(BadRequest, match="File is too big"):
        telegram.bot(lambda bot: bot.get_file(document.file_id))


def test_an_album_is_one_update_a_photo_with_the_caption_on_the_first(telegram: Fake) -> None:
    message_ids = telegram.user().send_album([picture(100 + number, 100) for number in range(3)], caption="three")
    messages = [update.message for update in polled(telegram)]
    assert [message and message.message_id for message in messages] == message_ids
    assert [message and message.caption for message in messages] == ["three", None, None]
    assert len({message and message.media_group_id for message in messages}) == 1


@pytest.mark.parametrize("kind", ["sticker", "video", "voice", "animation"])
def test_other_media_arrive_as_what_they_are(telegram: Fake, kind: str) -> None:
    telegram.user().send_media(kind)
    (update,) = polled(telegram)
    assert update.message
    assert getattr(update.message, kind)
    assert (update.message.document is not None) == (kind == "animation")


def test_a_group_has_members_and_counts_its_own_messages(telegram: Fake) -> None:
    group = -1_009_876_543_210
    first = telegram.user(group, user_id=5, first_name="Rita").send_text("/start@object_detection_bot")
    second = telegram.user(group, user_id=6).send_text("hello")
    updates = polled(telegram)
    assert [(update.effective_chat and update.effective_chat.type) for update in updates] == ["supergroup"] * 2
    assert [(update.effective_user and update.effective_user.id) for update in updates] == [5, 6]
    assert second == first + 1


def test_a_persons_edit_is_an_update_of_its_own(telegram: Fake) -> None:
    message_id = telegram.user().send_text("dog")
    telegram.user().edit_text(message_id, "cat")
    assert polled(telegram)[-1].edited_message.text == "cat"  # type: ignore[union-attr]


def test_a_pressed_button_is_answered_with_a_notice(telegram: Fake) -> None:
    user = telegram.user()
    sent = telegram.bot(lambda bot: bot.send_message(CHAT, "1 cat", reply_markup=keyboard("again:1")))
    query_id = user.press(sent.message_id, "again:1")
    (update,) = polled(telegram)
    assert update.callback_query
    assert update.callback_query.message
    assert (update.callback_query.id, update.callback_query.data) == (query_id, "again:1")
    assert update.callback_query.message.message_id == sent.message_id
    telegram.bot(lambda bot: bot.answer_callback_query(query_id, "Looking again", show_alert=True))
    answer = user.wait_for_answer(query_id, 5)
    assert (answer.text, answer.show_alert) == ("Looking again", True)


def test_a_button_that_is_gone_cannot_be_pressed(telegram: Fake) -> None:
    sent = telegram.bot(lambda bot: bot.send_message(CHAT, "x", reply_markup=keyboard("old")))
    telegram.bot(lambda bot: bot.edit_message_reply_markup(CHAT, sent.message_id))
    with pytest.raises(TelegramClientError, match="no longer there"):
        telegram.user().press(sent.message_id, "old")


def test_a_blocked_bot_gets_403_and_is_told_of_both_changes(telegram: Fake) -> None:
    user = telegram.user()
    user.block()
    with pytest.raises(Forbidden, match="bot was blocked by the user"):
        telegram.bot(lambda bot: bot.send_message(CHAT, "hello?"))
    user.unblock()
    telegram.bot(lambda bot: bot.send_message(CHAT, "hello!"))
    changes = [update.my_chat_member for update in polled(telegram)]
    assert [change and change.new_chat_member.status for change in changes] == ["kicked", "member"]


def test_what_happens_in_a_chat_is_streamed_live(telegram: Fake) -> None:
    with httpx.stream("GET", f"{telegram.url}/chats/{CHAT}/events?after=0", verify=TLS, timeout=10) as stream:
        sent = telegram.bot(lambda bot: bot.send_message(CHAT, "looking"))
        telegram.bot(lambda bot: bot.send_chat_action(CHAT, "upload_photo"))
        telegram.bot(lambda bot: bot.edit_message_text("found", CHAT, sent.message_id))
        telegram.bot(lambda bot: bot.delete_message(CHAT, sent.message_id))
        seen: list[str] = []
        for line in stream.iter_lines():
            seen += [line.removeprefix("event: ")] if line.startswith("event: ") else []
            if seen[-4:] == ["message", "action", "edit", "delete"]:
                break
    assert seen[-4:] == ["message", "action", "edit", "delete"]


# --- updates to the webhook -----------------------------------------------------------------------------------------


def test_updates_come_with_the_secret_and_leave_the_queue_on_2xx(telegram: Fake, webhook: Webhook) -> None:
    telegram.user().send_text("hello")
    assert webhook.texts(1) == ["hello"]
    assert webhook.received[0][1] == SECRET
    telegram.control.wait_until_delivered(5)
    info = telegram.bot(lambda bot: bot.get_webhook_info())
    assert (info.url, info.pending_update_count, info.last_error_message) == (webhook.url, 0, None)


def test_a_failing_update_is_retried_at_0_2_6_and_14_s_and_holds_back_its_chat_only(
    telegram: Fake, webhook: Webhook
) -> None:
    webhook.answer_chat = {CHAT: 503}
    telegram.user().send_text("first")
    telegram.user().send_text("second")
    assert webhook.texts(5) == ["first"] * 5
    tries = [moment for moment, _, _ in webhook.received]
    telegram.user(9).send_text("another chat")
    webhook.wait_for_text("another chat")
    assert "second" not in webhook.texts(6)
    webhook.answer_chat = {}
    webhook.wait_for_text("second")
    gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert all(gap >= seconds * TIME_SCALE for gap, seconds in zip(gaps, (0, 2, 4, 8), strict=True)), gaps


def test_the_last_error_is_in_webhook_info(telegram: Fake, webhook: Webhook) -> None:
    webhook.answer(500)
    telegram.user().send_text("hello")
    telegram.control.wait_until_delivered(5)
    info = telegram.bot(lambda bot: bot.get_webhook_info())
    assert info.last_error_message == "Wrong response from the webhook: 500 Internal Server Error"
    assert info.last_error_date


@pytest.mark.parametrize("status", [301, 404, 403, 500])
def test_everything_but_2xx_is_tried_again(telegram: Fake, webhook: Webhook, status: int) -> None:
    webhook.answer(status, Location="/elsewhere")
    telegram.user().send_text("hello")
    assert webhook.texts(2) == ["hello", "hello"]
    telegram.control.wait_until_delivered(5)
    assert telegram.control.updates(CHAT)[-1].statuses == (status, 200)


def test_retry_after_is_obeyed(telegram: Fake, webhook: Webhook) -> None:
    webhook.answer(503, Retry_After="20")
    telegram.user().send_text("hello")
    webhook.updates(2)
    assert webhook.received[1][0] - webhook.received[0][0] >= 20 * TIME_SCALE


def test_a_webhook_that_is_down_is_tried_until_it_is_back(telegram: Fake, webhook: Webhook) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as unused:
        closed = f"http://127.0.0.1:{unused.server_port}/"
    telegram.bot(lambda bot: bot.set_webhook(closed))
    telegram.user().send_text("hello")
    telegram.control.wait_for_calls("webhook", count=3, timeout_seconds=5)
    assert telegram.control.webhook()["last_error_message"] == "Connection refused"
    telegram.bot(lambda bot: bot.set_webhook(webhook.url))
    assert webhook.texts(1) == ["hello"]
    telegram.control.wait_until_delivered(5)
    assert set(telegram.control.updates(CHAT)[-1].statuses) == {0, 200}


def test_a_webhook_that_stays_silent_has_failed(telegram: Fake, webhook: Webhook) -> None:
    telegram.control.set(webhook_timeout_seconds=0.05)
    webhook.speaks.clear()
    telegram.user().send_text("hello")
    telegram.control.wait_for_calls("webhook", timeout_seconds=5)
    webhook.speaks.set()
    telegram.control.wait_until_delivered(5)
    assert telegram.control.webhook()["last_error_message"] == "Read timeout expired"


def test_an_update_is_dropped_after_a_day(telegram: Fake, webhook: Webhook) -> None:
    telegram.control.set(time_scale=1e-6)
    webhook.answer_chat = {CHAT: 500}
    telegram.user().send_text("too old")
    telegram.control.wait_until_delivered(5)
    (delivery,) = telegram.control.updates(CHAT)[-1:]
    assert delivery.settled
    assert set(delivery.statuses) == {500}


def test_a_press_can_overtake_a_message_that_fails(telegram: Fake, webhook: Webhook) -> None:
    sent = telegram.bot(lambda bot: bot.send_message(CHAT, "x", reply_markup=keyboard()))
    telegram.control.set(time_scale=10)
    webhook.answer(500, 500)
    telegram.user().send_text("stuck")
    webhook.updates(2)
    telegram.user().press(sent.message_id, "again")
    assert webhook.updates(3)[2].callback_query
    assert telegram.control.webhook()["pending_update_count"] == 1


def test_only_allowed_updates_are_made(telegram: Fake, webhook: Webhook) -> None:
    telegram.bot(lambda bot: bot.set_webhook(webhook.url, allowed_updates=["callback_query"]))
    telegram.bot(lambda bot: bot.set_webhook(webhook.url))
    sent = telegram.bot(lambda bot: bot.send_message(CHAT, "x", reply_markup=keyboard()))
    telegram.user().send_text("not wanted")
    telegram.user().press(sent.message_id, "again")
    assert webhook.updates(1)[0].callback_query
    assert telegram.control.webhook()["allowed_updates"] == ["callback_query"]


def test_pending_updates_survive_a_new_webhook_unless_it_drops_them(telegram: Fake) -> None:
    telegram.user().send_text("kept")
    receiver = Webhook()
    telegram.bot(lambda bot: bot.set_webhook(receiver.url))
    assert receiver.texts(1) == ["kept"]
    telegram.bot(lambda bot: bot.delete_webhook())
    telegram.user().send_text("dropped")
    telegram.bot(lambda bot: bot.set_webhook(receiver.url, drop_pending_updates=True))
    telegram.user().send_text("new")
    assert receiver.texts(2) == ["kept", "new"]
    telegram.control.reset()
    receiver.close()


def test_a_certificate_counts_only_when_it_is_uploaded_as_a_file(telegram: Fake) -> None:
    url = "https://localhost:8443/"
    telegram.api("setWebhook", json={"url": url, "certificate": CERTIFICATE.decode()})
    assert telegram.bot(lambda bot: bot.get_webhook_info()).has_custom_certificate is False
    telegram.bot(lambda bot: bot.set_webhook(url, certificate=CERTIFICATE))
    assert telegram.bot(lambda bot: bot.get_webhook_info()).has_custom_certificate is True
    with pytest.raises(BadRequest, match="failed to set custom certificate"):
        telegram.bot(lambda bot: bot.set_webhook(url, certificate=b"nonsense"))


def test_a_webhooks_answer_that_names_a_method_is_carried_out(telegram: Fake, webhook: Webhook) -> None:
    body = json.dumps({"method": "sendMessage", "chat_id": CHAT, "text": "from the answer"}).encode()
    webhook.answer(200, body=body)
    message_id = telegram.user().send_text("hello")
    assert telegram.user().wait_for(lambda message: message.message_id > message_id, 5).text == "from the answer"


def test_an_update_comes_twice_after_its_answer_was_lost(telegram: Fake, webhook: Webhook) -> None:
    telegram.control.fault("webhook", "apply_then_drop")
    telegram.user().send_text("hello")
    first, second = webhook.updates(2)
    assert first.update_id == second.update_id
    telegram.control.wait_until_delivered(5)


def test_duplicate_swap_and_drop_do_to_updates_what_they_say(telegram: Fake, webhook: Webhook) -> None:
    telegram.control.fault("webhook", "duplicate")
    telegram.user().send_text("twice")
    assert webhook.texts(2) == ["twice", "twice"]
    telegram.control.wait_until_delivered(5)
    telegram.control.fault("webhook", "swap", chat_id=CHAT)
    telegram.user().send_text("late")
    telegram.user(9).send_text("early")
    assert webhook.texts(4)[2:] == ["early", "late"]
    telegram.control.wait_until_delivered(5)
    telegram.control.fault("webhook", "drop")
    telegram.user().send_text("once")
    assert webhook.texts(5)[4] == "once"
    telegram.control.wait_until_delivered(5)
    assert telegram.control.updates(CHAT)[-1].statuses == (0, 200)


def test_copies_of_an_update_can_be_delivered_at_once(telegram: Fake, webhook: Webhook) -> None:
    telegram.user().send_text("hello")
    (update,) = webhook.updates(1)
    telegram.control.wait_until_delivered(5)
    assert telegram.control.deliver_again(update.update_id, times=5) == [200] * 5
    assert {copy.update_id for copy in webhook.updates(6)} == {update.update_id}


@pytest.mark.parametrize("body", [b"[]", b'{"update_id": 1, "message": ', b"", b'{"update_id": 5, "message": {}}'])
def test_any_body_can_be_injected_as_an_update(telegram: Fake, webhook: Webhook, body: bytes) -> None:
    webhook.answer(400)
    delivery = telegram.control.inject(body, timeout_seconds=5)
    assert (delivery.statuses, delivery.settled) == ((400, 200), True)
    assert [received for _, _, received in webhook.received] == [body, body]


# --- polling --------------------------------------------------------------------------------------------------------


def test_polling_waits_for_updates_and_takes_those_before_the_offset(telegram: Fake) -> None:
    async def poll_while_someone_writes(bot: Bot) -> tuple[Update, ...]:
        polling = asyncio.create_task(bot.get_updates(timeout=20))
        await asyncio.to_thread(telegram.user().send_text, "hello")
        return await polling

    (update,) = telegram.bot(poll_while_someone_writes)
    assert polled(telegram) == [update]
    assert telegram.bot(lambda bot: bot.get_updates(offset=update.update_id + 1)) == ()
    assert polled(telegram) == []


def test_polling_conflicts_with_a_webhook_and_with_another_poll(telegram: Fake) -> None:
    async def two_polls(bot: Bot) -> tuple[Any, ...]:
        first = asyncio.create_task(bot.get_updates(timeout=20))
        second = asyncio.create_task(bot.get_updates(timeout=20))
        await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.to_thread(telegram.user().send_text, "hello")
        return await asyncio.gather(first, second, return_exceptions=True)

    results = telegram.bot(two_polls)
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "tuple"]
    telegram.bot(lambda bot: bot.set_webhook("http://127.0.0.1:9/"))
    with pytest.raises(Conflict, match="webhook is active"):
        polled(telegram)


# --- faults and control ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effect", "details", "error", "text"),
    [
        ("too_many_requests", {"retry_after": 3}, RetryAfter, "Flood control exceeded"),
        ("too_many_requests", {}, NetworkError, "Too Many Requests"),
        ("server_error", {}, NetworkError, "Internal Server Error"),
        ("bad_gateway", {}, NetworkError, "Bad Gateway"),
        ("drop", {}, NetworkError, "httpx"),
        ("forbidden", {}, Forbidden, "bot was blocked by the user"),
        ("bad_request", {}, BadRequest, "Chat not found"),
        ("bad_request", {"description": "Bad Request: query is too old"}, BadRequest, "Query is too old"),
        ("unauthorized", {}, InvalidToken, "Unauthorized"),
    ],
)
def test_a_fault_hits_the_next_call_and_nothing_is_sent(
    telegram: Fake, effect: str, details: dict[str, Any], error: type[Exception], text: str
) -> None:
    rule = telegram.control.fault("sendMessage", effect, chat_id=CHAT, **details)
    telegram.bot(lambda bot: bot.send_message(9, "another chat"))
    with pytest.raises(error, match=text):
        telegram.bot(lambda bot: bot.send_message(CHAT, "x"))
    assert telegram.control.faults_fired(rule) == 1
    assert telegram.user().messages() == []
    telegram.bot(lambda bot: bot.send_message(CHAT, "x"))


@pytest.mark.parametrize(("effect", "error"), [("apply_then_hang", TimedOut), ("apply_then_drop", NetworkError)])
def test_a_lost_answer_leaves_the_message_in_the_chat(telegram: Fake, effect: str, error: type[Exception]) -> None:
    telegram.control.fault("sendPhoto", effect)
    with pytest.raises(error):
        telegram.bot(lambda bot: bot.send_photo(CHAT, picture()), read_timeout=0.3, media_write_timeout=5)
    assert [message.photo is not None for message in telegram.user().messages()] == [True]


def test_a_delayed_call_has_its_effect_although_the_bot_gave_up(telegram: Fake) -> None:
    telegram.control.fault("sendMessage", "delay", seconds=0.2)
    with pytest.raises(TimedOut):
        telegram.bot(lambda bot: bot.send_message(CHAT, "late"), read_timeout=0.05)
    assert telegram.user().messages() == []
    assert telegram.user().wait_for(lambda message: message.text == "late", 5).from_bot


def test_a_rule_hits_as_often_as_it_says_and_until_it_is_cleared(telegram: Fake) -> None:
    telegram.control.fault("*", "server_error", times=None)
    for _ in range(3):
        assert telegram.api("getMe").status_code == 500
    telegram.control.clear_faults()
    telegram.control.fault("getMe", "delay", seconds=0.01, times=2)
    assert telegram.api("getMe").status_code == 200
    with pytest.raises(TelegramClientError, match="no effect 'explode'"):
        telegram.control.fault("sendMessage", "explode")
    with pytest.raises(TelegramClientError, match="webhook has no effect 'forbidden'"):
        telegram.control.fault("webhook", "forbidden")


def test_downloads_can_be_missing_truncated_slow_or_cut(telegram: Fake) -> None:
    data = random.Random(2).randbytes(100_000)
    telegram.user().send_document(data, "file.bin")
    (update,) = polled(telegram)
    assert update.message
    assert update.message.document
    path = telegram.api("getFile", json={"file_id": update.message.document.file_id}).json()["result"]["file_path"]
    url = f"{telegram.url}/file/bot{TOKEN}/{path}"
    assert not path.startswith(("http", "/"))
    telegram.control.fault("file", "not_found")
    assert httpx.get(url, verify=TLS).status_code == 404
    for effect in ("truncated", "drop"):
        telegram.control.fault("file", effect)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(url, verify=TLS)
    telegram.control.fault("file", "slow", seconds=0.1)
    assert httpx.get(url, verify=TLS).content == data


def test_rate_limits_hold_only_when_they_are_on(telegram: Fake) -> None:
    async def burst(bot: Bot, chats: list[int]) -> list[int]:
        failed = []
        for chat_id in chats:
            try:
                await bot.send_message(chat_id, "x")
            except RetryAfter:
                failed.append(chat_id)
        return failed

    assert telegram.bot(lambda bot: burst(bot, [CHAT] * 40)) == []
    telegram.control.set(rate_limits=True)
    assert telegram.bot(lambda bot: burst(bot, [CHAT] * 4)) == [CHAT]
    telegram.control.reset()
    telegram.control.set(rate_limits=True)
    others = list(range(1, 60))
    assert len(telegram.bot(lambda bot: burst(bot, others))) >= 1


def test_set_webhook_is_limited_to_one_a_second(telegram: Fake) -> None:
    telegram.control.set(rate_limits=True)
    statuses = [telegram.api("setWebhook", json={"url": "http://127.0.0.1:9/"}) for _ in range(2)]
    assert [answer.status_code for answer in statuses] == [200, 429]
    assert statuses[1].json()["parameters"] == {"retry_after": 1}


def test_the_call_log_tells_method_chat_and_status(telegram: Fake) -> None:
    telegram.bot(lambda bot: bot.send_message(CHAT, "x"))
    telegram.api("sendMessage", json={"chat_id": CHAT, "text": ""})
    calls = telegram.control.wait_for_calls("sendMessage", count=2, chat_id=CHAT, timeout_seconds=5)
    assert [(call.method, call.chat_id, call.status, call.detail) for call in calls] == [
        ("sendMessage", CHAT, 200, ""), ("sendMessage", CHAT, 400, "Bad Request: message text is empty"),
    ]  # fmt: skip
    assert telegram.control.calls("sendMessage", after=calls[0].number) == calls[1:]


def test_a_reset_forgets_everything_but_the_webhook_and_the_numbers(telegram: Fake, webhook: Webhook) -> None:
    before = telegram.user().send_text("hello")
    telegram.control.wait_until_delivered(5)
    telegram.control.fault("*", "server_error", times=None)
    telegram.control.set(rate_limits=True)
    telegram.control.reset()
    assert telegram.user().messages() == []
    assert telegram.control.calls() == []
    assert telegram.control.set() == {
        "rate_limits": False, "time_scale": TIME_SCALE, "webhook_timeout_seconds": 60.0,
    }  # fmt: skip
    assert telegram.user().send_text("again") > before
    assert webhook.texts(2) == ["hello", "again"]


# --- the process ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly_although_streams_are_open(number: signal.Signals) -> None:
    process, line = start_server()
    url = line.split()[-1]
    assert line == f"fake Telegram listens on {url}"
    with process:
        with httpx.stream("GET", f"{url}/chats/1/events", verify=TLS) as stream:
            assert stream.status_code == 200
            process.send_signal(number)
            assert process.wait(10) == 0
        assert process.stderr
        assert process.stderr.read() == ""


def test_it_does_not_start_without_a_token() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TELEGRAM_TOKEN"}
    command = [sys.executable, "-m", "deploy.local.telegram", "--port", "0"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "TELEGRAM_TOKEN is not set" in ended.stderr


# --- the chat page --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
                 "--disable-component-update", "--disable-sync"]  # fmt: skip
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def page(telegram: Fake, browser: Browser) -> Iterator[Page]:
    """The page of one person, 360 pixels wide; errors in its script fail the test."""
    opened = browser.new_page(viewport={"width": 360, "height": 640})
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(f"{telegram.url}/?chat={CHAT}")
    yield opened
    opened.close()
    assert errors == []


def test_a_photo_sent_on_the_page_is_answered_on_the_page(telegram: Fake, page: Page) -> None:
    page.get_by_test_id("start").click()
    expect(page.get_by_test_id("text")).to_have_text(["/start"])
    file: Any = {"name": "cat.jpg", "mimeType": "image/jpeg", "buffer": picture()}
    page.get_by_test_id("photo-input").set_input_files(file)
    page.get_by_test_id("composer").fill("<b>what</b> is it?")
    page.get_by_test_id("send").click()
    message = telegram.user().wait_for(lambda message: message.photo is not None, 10)
    assert message.caption == "<b>what</b> is it?"
    details: Any = {"reply_parameters": ReplyParameters(message.message_id), "reply_markup": keyboard()}
    sent = telegram.bot(lambda bot: bot.send_photo(CHAT, picture(900, 300), "1 cat", **details))
    answer = page.locator(f'[data-from=bot][data-message-id="{sent.message_id}"]')
    expect(answer.get_by_test_id("photo")).to_have_js_property("naturalWidth", 900)
    expect(answer.get_by_test_id("text")).to_have_text("1 cat")

    answer.get_by_test_id("inline-button").click()
    update = polled(telegram)[-1]
    assert update.callback_query
    query_id = update.callback_query.id
    telegram.bot(lambda bot: bot.answer_callback_query(query_id, "Looking again"))
    expect(page.get_by_test_id("toast")).to_have_text("Looking again")
    telegram.bot(lambda bot: bot.send_chat_action(CHAT, "upload_photo"))
    expect(page.get_by_test_id("status")).to_contain_text("sending a photo")
    telegram.bot(lambda bot: bot.edit_message_caption(CHAT, sent.message_id, caption="2 cats"))
    expect(answer.get_by_test_id("text")).to_have_text("2 cats")
    expect(answer.get_by_test_id("edited")).to_be_visible()
    telegram.bot(lambda bot: bot.delete_message(CHAT, sent.message_id))
    expect(answer).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_several_photos_become_an_album_and_a_file_a_document(telegram: Fake, page: Page) -> None:
    photos: Any = [
        {"name": f"{side}.png", "mimeType": "image/png", "buffer": picture(side, side, "PNG")} for side in (90, 91)
    ]
    page.get_by_test_id("photo-input").set_input_files(photos)
    page.get_by_test_id("composer").press("Enter")
    expect(page.locator("[data-testid=message] [data-testid=photo]")).to_have_count(2)
    text: Any = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    page.get_by_test_id("file-input").set_input_files(text)
    page.get_by_test_id("send").click()
    expect(page.get_by_test_id("document")).to_contain_text("notes.txt")
    messages = telegram.user().messages()
    assert [bool(message.media_group_id) for message in messages] == [True, True, False]
    assert messages[2].document
    assert messages[2].document.mime_type == "text/plain"


def test_the_page_shows_two_people_apart_and_follows_a_reset(telegram: Fake, page: Page) -> None:
    telegram.user().send_text("mine")
    telegram.user(9).send_text("somebody else's")
    expect(page.get_by_test_id("text")).to_have_text(["mine"])
    telegram.control.reset()
    expect(page.get_by_test_id("start")).to_be_visible()
