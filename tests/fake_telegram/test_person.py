"""What people do in a chat reaches the bot as it would from Telegram."""

from __future__ import annotations

import io
import random
from typing import Any

import httpx
import pytest
from PIL import Image
from telegram import (
    Bot,
    MessageEntity,
)
from telegram.error import BadRequest, Forbidden

from deploy.local.processes import PATIENCE_SECONDS
from deploy.local.telegram.client import TelegramClientError
from tests.fake_telegram.service import CHAT, TLS, TOKEN, Fake, keyboard, picture, polled

pytestmark = pytest.mark.slow


@pytest.mark.smoke
def test_command_reaches_bot_as_entity(telegram: Fake) -> None:
    message_id = telegram.user(language_code="he").send_text("/start")
    (update,) = polled(telegram)
    message = update.message
    assert message
    assert message.from_user
    assert (message.message_id, message.chat_id, message.text) == (message_id, CHAT, "/start")
    assert message.entities == (MessageEntity("bot_command", 0, 6),)
    assert (message.from_user.id, message.from_user.language_code) == (CHAT, "he")


def test_photo_arrives_upright_and_in_several_sizes(telegram: Fake) -> None:
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


def test_resent_picture_keeps_only_its_unique_id(telegram: Fake) -> None:
    user = telegram.user()
    user.send_photo(picture())
    user.send_photo(picture())
    first, second = (message.photo for message in user.messages())
    assert first
    assert second
    assert first.file_id != second.file_id
    assert first.file_unique_id == second.file_unique_id


def test_document_keeps_its_bytes_name_and_claimed_type(telegram: Fake) -> None:
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


def test_file_above_20_mib_cannot_be_downloaded(telegram: Fake) -> None:
    telegram.user().send_document(b"x" * ((20 << 20) + 1), "big.jpg", "image/jpeg")
    (update,) = polled(telegram)
    document = update.message and update.message.document
    assert document
    assert document.file_size == (20 << 20) + 1
    with pytest.raises(BadRequest, match="File is too big"):
        telegram.bot(lambda bot: bot.get_file(document.file_id))


def test_album_is_one_update_per_photo(telegram: Fake) -> None:
    message_ids = telegram.user().send_album([picture(100 + number, 100) for number in range(3)], caption="three")
    messages = [update.message for update in polled(telegram)]
    assert [message and message.message_id for message in messages] == message_ids
    assert [message and message.caption for message in messages] == ["three", None, None]
    assert len({message and message.media_group_id for message in messages}) == 1


@pytest.mark.parametrize("kind", ["sticker", "video", "voice", "animation"])
def test_other_media_keep_their_kind(telegram: Fake, kind: str) -> None:
    telegram.user().send_media(kind)
    (update,) = polled(telegram)
    assert update.message
    assert getattr(update.message, kind)
    assert (update.message.document is not None) == (kind == "animation")


def test_group_has_members_and_its_own_message_ids(telegram: Fake) -> None:
    group = -1_009_876_543_210
    first = telegram.user(group, user_id=5, first_name="Rita").send_text("/start@object_detection_bot")
    second = telegram.user(group, user_id=6).send_text("hello")
    updates = polled(telegram)
    assert [(update.effective_chat and update.effective_chat.type) for update in updates] == ["supergroup"] * 2
    assert [(update.effective_user and update.effective_user.id) for update in updates] == [5, 6]
    assert second == first + 1


def test_persons_edit_is_separate_update(telegram: Fake) -> None:
    message_id = telegram.user().send_text("dog")
    telegram.user().edit_text(message_id, "cat")
    assert polled(telegram)[-1].edited_message.text == "cat"  # type: ignore[union-attr]


def test_pressed_button_is_answered_with_notice(telegram: Fake) -> None:
    user = telegram.user()
    sent = telegram.bot(lambda bot: bot.send_message(CHAT, "1 cat", reply_markup=keyboard("again:1")))
    query_id = user.press(sent.message_id, "again:1")
    (update,) = polled(telegram)
    assert update.callback_query
    assert update.callback_query.message
    assert (update.callback_query.id, update.callback_query.data) == (query_id, "again:1")
    assert update.callback_query.message.message_id == sent.message_id
    telegram.bot(lambda bot: bot.answer_callback_query(query_id, "Looking again", show_alert=True))
    answer = user.wait_for_answer(query_id)
    assert (answer.text, answer.show_alert) == ("Looking again", True)


def test_removed_button_cannot_be_pressed(telegram: Fake) -> None:
    sent = telegram.bot(lambda bot: bot.send_message(CHAT, "x", reply_markup=keyboard("old")))
    telegram.bot(lambda bot: bot.edit_message_reply_markup(CHAT, sent.message_id))
    with pytest.raises(TelegramClientError, match="this button is gone"):
        telegram.user().press(sent.message_id, "old")


def test_blocked_bot_gets_403_and_is_told_about_it(telegram: Fake) -> None:
    user = telegram.user()
    user.block()
    with pytest.raises(Forbidden, match="bot was blocked by the user"):
        telegram.bot(lambda bot: bot.send_message(CHAT, "hello?"))
    user.unblock()
    telegram.bot(lambda bot: bot.send_message(CHAT, "hello!"))
    changes = [update.my_chat_member for update in polled(telegram)]
    assert [change and change.new_chat_member.status for change in changes] == ["kicked", "member"]


def test_events_of_chat_are_streamed(telegram: Fake) -> None:
    with httpx.stream(
        "GET", f"{telegram.url}/chats/{CHAT}/events?after=0", verify=TLS, timeout=PATIENCE_SECONDS
    ) as stream:
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
