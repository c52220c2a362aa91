"""The chat page in a browser: photos come back boxed, who waits is told so, texts are answered."""

from collections.abc import Iterator
from functools import partial
from itertools import count

import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect

from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramControl, TelegramUser
from tests.support import new_updates
from tests.support.telling_site import telling_site, unread_queue

FROM_BOT = '[data-testid="message"][data-from="bot"]'
PRESSES_AT_MOST = 5
_chat_ids = count(70_000)


@pytest.fixture
def page(browser: Browser, stack: LocalStack) -> Iterator[Page]:
    """Open a new person's chat page, on a phone."""
    page = browser.new_page(viewport={"width": 400, "height": 800}, device_scale_factor=2)
    page.goto(f"{stack.telegram_url}/?chat={next(_chat_ids)}")
    yield page
    page.close()


def test_photo_sent_in_browser_comes_back_boxed(page: Page, photo: bytes) -> None:
    upload: FilePayload = {"name": "street.jpg", "mimeType": "image/jpeg", "buffer": photo}
    page.get_by_test_id("photo-input").set_input_files(files=[upload])
    page.get_by_test_id("send").click()
    answer = page.locator(FROM_BOT).first
    expect(answer.get_by_test_id("photo")).to_be_visible()
    assert answer.get_by_test_id("photo").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


def press(page: Page, button: Locator, *, until: Locator) -> None:
    """Press a button until that is shown; what did not work just now is pressed again, as the bot asks people to do."""
    failed = page.get_by_test_id("toast").filter(has_text="Please try again")
    for _ in range(PRESSES_AT_MOST):
        button.click()
        expect(until.or_(failed).first).to_be_visible()
        if not failed.is_visible():
            return
        expect(failed).to_be_hidden()


@pytest.mark.slow
def test_conversation_about_photo_is_held_in_browser(page: Page, photo: bytes) -> None:
    upload: FilePayload = {"name": "street.jpg", "mimeType": "image/jpeg", "buffer": photo}
    page.get_by_test_id("photo-input").set_input_files(files=[upload])
    page.get_by_test_id("send").click()
    answer = page.locator(FROM_BOT).first
    button = partial(answer.get_by_role, "button")
    press(page, button(name="More"), until=button(name="Hide labels"))
    press(page, button(name="Hide labels"), until=button(name="More"))
    press(page, button(name="More"), until=button(name="Show labels"))
    press(page, button(name="Back"), until=button(name="More"))
    only = button(name="Only").first
    label = only.inner_text().removeprefix("Only ")
    press(page, only, until=button(name="Everything"))
    expect(answer).to_contain_text(label.rstrip("s"))
    press(page, button(name="More"), until=button(name="Download data"))
    press(page, button(name="Download data"), until=page.get_by_text("detections.zip"))
    assert page.locator(FROM_BOT).count() == 2


@pytest.mark.slow
def test_wait_is_shown_on_page(browser: Browser, stack: LocalStack, photo: bytes) -> None:
    user, control = TelegramUser(stack.telegram_url, next(_chat_ids)), TelegramControl(stack.telegram_url)
    # It goes to a site whose jobs nobody takes.
    control.fault("webhook", "drop", chat_id=user.chat_id, times=None)
    message_id = user.send_photo(photo)
    sent = user.message(message_id)
    assert sent
    assert sent.photo
    page = browser.new_page(viewport={"width": 400, "height": 560}, device_scale_factor=2)
    with unread_queue() as queue, telling_site(stack, queue) as site:
        assert site.post(new_updates.with_photo(user.chat_id, sent.photo, message_id=message_id)) == 200
        page.goto(f"{stack.telegram_url}/?chat={user.chat_id}")
        status = page.locator(FROM_BOT).first
        expect(status).to_contain_text("A machine is starting")
        cancel = status.get_by_role("button", name="Cancel")
        expect(cancel).to_be_visible()
        control.clear_faults()
        cancel.click()
        expect(status).to_contain_text("Cancelled")
    page.close()


def test_text_is_answered_on_page(page: Page) -> None:
    page.get_by_test_id("composer").fill("hello")
    page.get_by_test_id("send").click()
    expect(page.locator(FROM_BOT).first).to_contain_text("Send me a photo")


@pytest.mark.slow
def test_bot_is_called_as_guest_on_page(page: Page, photo: bytes) -> None:
    page.get_by_role("button", name="switch person").click()
    page.get_by_role("link", name="A group without the bot").click()
    expect(page.get_by_test_id("status")).to_have_text("the bot isn't in this group")
    upload: FilePayload = {"name": "street.jpg", "mimeType": "image/jpeg", "buffer": photo}
    page.get_by_test_id("photo-input").set_input_files(files=[upload])
    page.get_by_test_id("send").click()
    page.get_by_test_id("message").get_by_test_id("reply").click()
    page.get_by_test_id("composer").fill("what is this, @object_detection_bot?")
    page.get_by_test_id("send").click()
    answer = page.locator(FROM_BOT).first
    expect(answer.get_by_test_id("photo")).to_be_visible()
    expect(answer.get_by_test_id("edited")).to_be_visible()


@pytest.mark.slow
def test_group_conversation_is_shown(browser: Browser, stack: LocalStack, photo: bytes) -> None:
    chat_id = -next(_chat_ids)
    topic = TelegramUser(stack.telegram_url, chat_id, user_id=2, first_name="Grace").make_topic("Holidays")
    ada = TelegramUser(stack.telegram_url, chat_id, user_id=1, first_name="Ada", thread_id=topic)
    sent = ada.send_photo(photo, "Where we were yesterday")
    page = browser.new_page(viewport={"width": 400, "height": 1240}, device_scale_factor=2)
    page.goto(f"{stack.telegram_url}/?chat={chat_id}&user=2&topic={topic}")
    page.locator(f'[data-message-id="{sent}"]').get_by_test_id("reply").click()
    page.get_by_test_id("composer").fill("@object_detection_bot what is this?")
    page.get_by_test_id("send").click()
    answer = page.locator(FROM_BOT).first.get_by_test_id("photo")
    expect(answer).to_be_visible()
    answer.evaluate("image => image.decode()")
    page.close()
