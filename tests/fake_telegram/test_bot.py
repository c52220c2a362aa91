"""Bots see the fake Telegram behave like the real one."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from PIL import Image
from telegram import (
    Bot,
    InputMediaDocument,
    InputMediaPhoto,
    MessageEntity,
    ReplyParameters,
)
from telegram.error import BadRequest, InvalidToken

from deploy.local.telegram.client import TelegramClientError
from tests.fake_telegram.service import CHAT, TLS, TOKEN, Fake, keyboard, picture

pytestmark = pytest.mark.slow


def test_bot_id_comes_from_token(telegram: Fake) -> None:
    me = telegram.bot(lambda bot: bot.get_me())
    assert (me.id, me.is_bot, me.username) == (123456, True, "object_detection_bot")


def test_wrong_token_is_401_and_unknown_method_404(telegram: Fake) -> None:
    with pytest.raises(InvalidToken):
        telegram.bot(lambda bot: bot.get_me(), token="123456:wrong")
    assert telegram.api("getMe", token="wrong").json() == {
        "ok": False, "error_code": 401, "description": "Unauthorized",
    }  # fmt: skip
    assert telegram.api("inventSomething").status_code == 404
    assert httpx.get(f"{telegram.url}/file/botwrong/photos/file_1.jpg", verify=TLS).status_code == 401


def test_revoked_token_is_replaced_for_same_bot(telegram: Fake) -> None:
    telegram.control.revoke("123456:another")
    try:
        assert telegram.api("getMe").status_code == 401
        assert telegram.api("getMe", token="123456:another").json()["result"]["id"] == 123456
        with pytest.raises(TelegramClientError, match="starts with its bot's number"):
            telegram.control.revoke("654321:of-another-bot")
    finally:
        telegram.control.revoke(TOKEN)


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
def test_parameters_are_read_from_every_kind_of_request(telegram: Fake, body: dict[str, Any]) -> None:
    answer = telegram.api("sendmessage", **body).json()
    assert answer["ok"] is True
    assert [message.text for message in telegram.user().messages()] == ["hello"]


@pytest.mark.smoke
def test_person_sees_sent_message(telegram: Fake) -> None:
    asked = telegram.user().send_text("what is this?")
    sent = telegram.bot(
        lambda bot: bot.send_message(CHAT, "see /cat", reply_to_message_id=asked, reply_markup=keyboard())
    )
    seen = telegram.user().wait_for_reply(asked)
    assert (sent.message_id, sent.chat_id, sent.text) == (seen.message_id, CHAT, "see /cat")
    assert sent.reply_to_message
    assert sent.reply_to_message.message_id == asked
    assert sent.entities == (MessageEntity("bot_command", 4, 4),)
    assert [(button.text, button.data) for button in seen.buttons] == [("Again", "again")]
    assert seen.from_bot
    assert not seen.edited


def test_commands_addresses_and_mentions_are_detected(telegram: Fake) -> None:
    sent = telegram.bot(lambda bot: bot.send_message(CHAT, " 😀 /start https://e.org/@me @botname <b>"))
    assert sent.text == "😀 /start https://e.org/@me @botname <b>"
    assert [(entity.type, entity.offset, entity.length) for entity in sent.entities] == [
        ("bot_command", 3, 6), ("url", 10, 17), ("mention", 28, 8),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "content"),
    [
        ("sendMessage", {"text": "<b>x</b>", "parse_mode": "HTML"}),
        ("sendMessage", {"text": "x", "entities": [{"type": "bold", "offset": 0, "length": 1}]}),
        ("editMessageCaption", {"caption": "*x*", "parse_mode": "MarkdownV2"}),
    ],
)
def test_formatting_is_refused_rather_than_ignored(telegram: Fake, method: str, content: dict[str, Any]) -> None:
    sent = telegram.bot(lambda bot: bot.send_photo(CHAT, picture()))
    answer = telegram.api(method, json={"chat_id": CHAT, "message_id": sent.message_id, **content})
    assert answer.status_code == 400
    assert "plain text and times only" in answer.json()["description"]


TIME: dict[str, Any] = {
    "type": "date_time",
    "offset": 3,
    "length": 5,
    "unix_time": 1767225600,
    "date_time_format": "dt",
}


def test_time_is_kept_for_the_readers_zone(telegram: Fake) -> None:
    told = MessageEntity("date_time", 3, 5, unix_time=datetime(2026, 1, 1, tzinfo=UTC), date_time_format="dt")
    sent = telegram.bot(lambda bot: bot.send_message(CHAT, "😀 00:00 /start", entities=[told]))
    assert [entity.to_dict() for entity in sent.entities] == [
        told.to_dict(), MessageEntity("bot_command", 9, 6).to_dict(),
    ]  # fmt: skip
    captioned = telegram.bot(lambda bot: bot.send_photo(CHAT, picture(), "😀 00:00", caption_entities=[told]))
    assert [entity.to_dict() for entity in captioned.caption_entities] == [told.to_dict()]


@pytest.mark.parametrize(
    "wrong", [{"date_time_format": "x"}, {"offset": 9}, {"length": 0}, {"unix_time": "now"}, {"date_time_format": None}]
)
def test_impossible_time_is_refused(telegram: Fake, wrong: dict[str, Any]) -> None:
    entities = [TIME | wrong]
    answer = telegram.api("sendMessage", json={"chat_id": CHAT, "text": "at 00:00", "entities": entities})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("action", "complaint"),
    [
        (lambda bot: bot.send_message(CHAT, "x" * 4097), "Message is too long"),
        (lambda bot: bot.send_message(CHAT, " \n "), "Message text is empty"),
        (lambda bot: bot.send_message("@nobody", "x"), "Chat not found"),
        (lambda bot: bot.send_photo(CHAT, picture(), "😀" * 513),
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
def test_limits_on_content_are_enforced(
    telegram: Fake, action: Callable[[Bot], Awaitable[Any]], complaint: str
) -> None:
    with pytest.raises(BadRequest) as raised:
        telegram.bot(action)
    assert str(raised.value).casefold() == complaint.casefold()
    assert telegram.user().messages() == []


def test_text_and_caption_of_maximum_length_are_sent(telegram: Fake) -> None:
    text, caption = "😀" * 2048, " " + "x" * 1024
    assert telegram.bot(lambda bot: bot.send_message(CHAT, text)).text == text
    assert telegram.bot(lambda bot: bot.send_photo(CHAT, picture(), caption)).caption == "x" * 1024


def test_bots_photo_becomes_jpeg_of_at_most_1280_pixels(telegram: Fake) -> None:
    sent = telegram.bot(lambda bot: bot.send_photo(CHAT, picture(2000, 1000, "PNG"), filename="result.png"))
    seen = telegram.user().wait_for(lambda message: message.message_id == sent.message_id)
    image = Image.open(io.BytesIO(telegram.user().download(seen)))
    assert (image.format, image.size) == ("JPEG", (1280, 640))
    assert [(size.width, size.height) for size in sent.photo] == [(90, 45), (320, 160), (800, 400), (1280, 640)]


def test_reply_to_deleted_message_needs_permission(telegram: Fake) -> None:
    user = telegram.user()
    gone = user.send_text("never mind")
    user.delete(gone)
    with pytest.raises(BadRequest, match="Message to be replied not found"):
        telegram.bot(lambda bot: bot.send_message(CHAT, "x", reply_parameters=ReplyParameters(gone)))
    allowed = ReplyParameters(gone, allow_sending_without_reply=True)
    assert telegram.bot(lambda bot: bot.send_message(CHAT, "x", reply_parameters=allowed)).reply_to_message is None


def test_edit_without_buttons_removes_them(telegram: Fake) -> None:
    sent = telegram.bot(lambda bot: bot.send_message(CHAT, "looking", reply_markup=keyboard()))
    edited = telegram.bot(lambda bot: bot.edit_message_text("found", CHAT, sent.message_id))
    (seen,) = telegram.user().messages()
    assert (seen.text, seen.buttons, seen.edited) == ("found", (), True)
    assert isinstance(edited, type(sent))
    assert edited.edit_date
    with pytest.raises(BadRequest, match="Message is not modified"):
        telegram.bot(lambda bot: bot.edit_message_text("found", CHAT, sent.message_id))


def test_changing_buttons_does_not_mark_message_as_edited(telegram: Fake) -> None:
    sent = telegram.bot(lambda bot: bot.send_message(CHAT, "x"))
    telegram.bot(lambda bot: bot.edit_message_reply_markup(CHAT, sent.message_id, reply_markup=keyboard()))
    (seen,) = telegram.user().messages()
    assert ([button.data for button in seen.buttons], seen.edited) == (["again"], False)


def test_text_can_be_edited_into_photo(telegram: Fake) -> None:
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


def test_bot_can_delete_but_not_edit_others_messages(telegram: Fake) -> None:
    message_id = telegram.user().send_text("mine")
    with pytest.raises(BadRequest, match="Message can't be edited"):
        telegram.bot(lambda bot: bot.edit_message_text("x", CHAT, message_id))
    assert telegram.bot(lambda bot: bot.delete_message(CHAT, message_id)) is True
    assert telegram.user().messages() == []


def test_old_message_cannot_be_deleted(telegram: Fake) -> None:
    sent = telegram.bot(lambda bot: bot.send_message(CHAT, "hello"))
    telegram.control.set(time_scale=0.0)
    with pytest.raises(BadRequest, match="Message can't be deleted"):
        telegram.bot(lambda bot: bot.delete_message(CHAT, sent.message_id))
    assert telegram.user().message(sent.message_id)


def test_album_is_separate_messages_of_one_group(telegram: Fake) -> None:
    media = [InputMediaPhoto(picture(), caption="two"), InputMediaPhoto(picture(300, 300))]
    sent = telegram.bot(lambda bot: bot.send_media_group(CHAT, media))
    seen = telegram.user().messages()
    assert [message.caption for message in seen] == ["two", None]
    assert len({message.media_group_id for message in seen} | {message.media_group_id for message in sent}) == 1
    with pytest.raises(BadRequest, match="Document can't be mixed"):
        telegram.bot(lambda bot: bot.send_media_group(CHAT, [media[0], InputMediaDocument(b"x")]))


@pytest.mark.parametrize(("pictures", "reason"), [(1, "Too few messages"), (11, "Too many messages")])
def test_album_has_two_to_ten_pictures(telegram: Fake, pictures: int, reason: str) -> None:
    with pytest.raises(BadRequest, match=reason):
        telegram.bot(lambda bot: bot.send_media_group(CHAT, [InputMediaPhoto(picture())] * pictures))


def answer_album(telegram: Fake, pictures: int, reply_to: int) -> None:
    media = [InputMediaPhoto(picture(100 + number, 100)) for number in range(pictures)]
    reply = ReplyParameters(reply_to)
    telegram.bot(lambda bot: bot.send_media_group(CHAT, media, reply_parameters=reply))


def answered(telegram: Fake) -> list[int]:
    """Return the photos that have an answer; one is listed for each of its answers."""
    user = telegram.user()
    messages = user.messages()
    return [
        one.message_id for one in messages if not one.from_bot for other in messages if other.answers(one.message_id)
    ]


def test_album_answers_album_photo_by_photo(telegram: Fake) -> None:
    sent = telegram.user().send_album([picture()] * 3)
    answer_album(telegram, 3, sent[0])
    assert answered(telegram) == sent
    assert [list(call.answers) for call in telegram.control.calls("sendMediaGroup")] == [sent]


def test_photos_with_answers_of_their_own_are_left_out(telegram: Fake) -> None:
    sent = telegram.user().send_album([picture()] * 5)
    telegram.bot(lambda bot: bot.send_message(CHAT, "damaged", reply_parameters=ReplyParameters(sent[0])))
    answer_album(telegram, 3, sent[1])
    telegram.bot(lambda bot: bot.send_message(CHAT, "damaged", reply_parameters=ReplyParameters(sent[3])))
    assert answered(telegram) == sent
    assert [list(call.answers) for call in telegram.control.calls("sendMediaGroup")] == [[sent[1], sent[2], sent[4]]]


def test_deleted_word_on_wait_answers_nothing(telegram: Fake) -> None:
    sent = telegram.user().send_album([picture()] * 2)
    word = telegram.bot(lambda bot: bot.send_message(CHAT, "wait", reply_parameters=ReplyParameters(sent[1])))
    telegram.bot(lambda bot: bot.delete_message(CHAT, word.message_id))
    answer_album(telegram, 2, sent[0])
    assert answered(telegram) == sent


def test_album_about_one_photo_answers_that_photo(telegram: Fake) -> None:
    sent = telegram.user().send_photo(picture())
    answer_album(telegram, 3, sent)
    assert answered(telegram) == [sent] * 3


def test_late_photo_joins_its_album(telegram: Fake) -> None:
    first, second = telegram.user().send_album([picture()] * 2, gap_seconds=0.1)
    group = {message.message_id: message.media_group_id for message in telegram.user().messages()}
    late = telegram.user().send_photo(picture(), album=group[first])
    message = telegram.user().message(late)
    assert message is not None
    assert message.media_group_id == group[first] == group[second]


def test_file_id_resends_same_file(telegram: Fake) -> None:
    sent = telegram.bot(lambda bot: bot.send_document(CHAT, b"data", filename="boxes.json"))
    assert sent.document
    file_id = sent.document.file_id
    again = telegram.bot(lambda bot: bot.send_document(CHAT + 1, file_id))
    assert again.document == sent.document
    with pytest.raises(BadRequest, match="Can't use file of type document as photo"):
        telegram.bot(lambda bot: bot.send_photo(CHAT, file_id))


def test_commands_and_chats_can_be_set_and_read(telegram: Fake) -> None:
    telegram.user().send_text("hello")
    telegram.bot(lambda bot: bot.set_my_commands([("help", "How it works")]))
    assert [command.command for command in telegram.bot(lambda bot: bot.get_my_commands())] == ["help"]
    assert telegram.bot(lambda bot: bot.get_chat(CHAT)).type == "private"
    assert telegram.bot(lambda bot: bot.get_chat(-1_001_234_567_890)).type == "supergroup"
