"""The chat page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from telegram import MessageEntity, ReplyParameters

from tests.fake_telegram.service import CHAT, Fake, keyboard, picture, polled

pytestmark = pytest.mark.slow


@pytest.fixture
def page(telegram: Fake, browser: Browser) -> Iterator[Page]:
    """Open a person's page, 360 pixels wide; errors in its script fail the test."""
    opened = browser.new_page(viewport={"width": 360, "height": 640})
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(f"{telegram.url}/?chat={CHAT}")
    yield opened
    opened.close()
    assert errors == []


def test_time_is_shown_in_the_readers_zone(telegram: Fake, browser: Browser) -> None:
    told = MessageEntity("date_time", 5, 20, unix_time=datetime(2026, 1, 1, 0, 30, tzinfo=UTC), date_time_format="dt")
    telegram.bot(lambda bot: bot.send_message(CHAT, "From 2026-01-01 00:30 UTC on", entities=[told]))
    for zone, shown in (("America/Lima", "From 12/31/25, 19:30 on"), ("Asia/Tokyo", "From 1/1/26, 09:30 on")):
        opened = browser.new_page(timezone_id=zone, locale="en-US")
        opened.goto(f"{telegram.url}/?chat={CHAT}")
        expect(opened.get_by_test_id("text").last).to_have_text(shown)
        opened.close()


@pytest.mark.smoke
def test_photo_is_answered_on_page(telegram: Fake, page: Page) -> None:
    page.get_by_test_id("start").click()
    expect(page.get_by_test_id("text")).to_have_text(["/start"])
    file: Any = {"name": "cat.jpg", "mimeType": "image/jpeg", "buffer": picture()}
    page.get_by_test_id("photo-input").set_input_files(file)
    page.get_by_test_id("composer").fill("<b>what</b> is it?")
    page.get_by_test_id("send").click()
    message = telegram.user().wait_for(lambda message: message.photo is not None)
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


def test_commands_and_addresses_can_be_clicked(telegram: Fake, page: Page) -> None:
    telegram.bot(lambda bot: bot.send_message(CHAT, "😀 try /what, see https://e.org/a <b>now</b>"))
    text = page.get_by_test_id("text")
    expect(text).to_have_text(["😀 try /what, see https://e.org/a <b>now</b>"])
    expect(text.get_by_role("link", name="https://e.org/a")).to_have_attribute("href", "https://e.org/a")
    text.get_by_role("button", name="/what").click()
    assert telegram.user().wait_for(lambda message: not message.from_bot).text == "/what"


def test_empty_chat_shows_what_the_bot_says_of_itself_in_its_language(telegram: Fake, page: Page) -> None:
    telegram.bot(lambda bot: bot.set_my_description("I look at photos."))
    telegram.bot(lambda bot: bot.set_my_description("Ich sehe mir Fotos an.", language_code="de"))
    telegram.bot(lambda bot: bot.set_my_commands([("help", "Hilfe")], language_code="de"))
    for code, text in (("de", "Ich sehe mir Fotos an."), ("fr", "I look at photos.")):
        page.goto(f"{telegram.url}/?chat={CHAT}&language={code}")
        expect(page.locator(".welcome")).to_contain_text(text)
    page.goto(f"{telegram.url}/?chat={CHAT}&language=de-AT")
    page.get_by_test_id("composer").fill("/")
    expect(page.locator("#commands")).to_contain_text("Hilfe")


def test_video_is_sent_as_video_and_gif_as_animation(telegram: Fake, page: Page) -> None:
    for name, kind in (("film.mp4", "video/mp4"), ("film.mov", "video/quicktime"), ("joke.gif", "image/gif")):
        file: Any = {"name": name, "mimeType": kind, "buffer": b"moves"}
        page.get_by_test_id("file-input").set_input_files(file)
        page.get_by_test_id("send").click()
        expect(page.get_by_test_id("document").last).to_contain_text(name)
    messages = [update.message for update in polled(telegram)]
    assert [bool(message and message.video) for message in messages] == [True, True, False]
    assert [bool(message and message.animation) for message in messages] == [False, False, True]


def test_hidden_photo_is_shown_on_tap(telegram: Fake, page: Page) -> None:
    telegram.bot(lambda bot: bot.send_photo(CHAT, picture(900, 300), "1 cat", has_spoiler=True))
    hidden = page.get_by_role("button", name="Show hidden photo")
    expect(hidden.get_by_test_id("photo")).to_have_css("filter", "blur(28px)")
    hidden.click()
    expect(hidden.get_by_test_id("photo")).to_have_css("filter", "none")


def test_photos_become_album_and_file_becomes_document(telegram: Fake, page: Page) -> None:
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


def test_page_keeps_people_apart_and_follows_reset(telegram: Fake, page: Page) -> None:
    telegram.user().send_text("mine")
    telegram.user(9).send_text("somebody else's")
    expect(page.get_by_test_id("text")).to_have_text(["mine"])
    telegram.control.reset()
    expect(page.get_by_test_id("start")).to_be_visible()


def test_message_is_replied_to_on_page(telegram: Fake, page: Page) -> None:
    asked = telegram.user().send_photo(picture())
    page.locator(f'[data-message-id="{asked}"]').get_by_test_id("reply").click()
    expect(page.get_by_test_id("answering")).to_contain_text("Photo")
    page.get_by_test_id("composer").fill("what is this?")
    page.get_by_test_id("send").click()
    reply = telegram.user().wait_for(lambda message: message.text == "what is this?")
    assert reply.reply_to == asked
    expect(page.get_by_test_id("answering")).to_be_hidden()


def test_topic_is_a_chat_of_its_own_on_page(telegram: Fake, page: Page) -> None:
    group = telegram.user(-77)
    thread_id = group.make_topic("Birds")
    group.send_text("not about birds")
    page.goto(f"{telegram.url}/?chat=-77")
    page.get_by_role("link", name="Birds").click()
    expect(page.get_by_role("heading")).to_contain_text("Birds")
    page.get_by_test_id("composer").fill("a robin")
    page.get_by_test_id("send").click()
    assert group.wait_for(lambda message: message.text == "a robin").thread_id == thread_id
    expect(page.get_by_test_id("message")).to_have_count(1)
