"""The pictures of README and docs, which show photographs in the public domain: they are put into var/pictures.

`docs/architecture.md` says whose photographs these are. The buttons need a font with emoji (Debian:
fonts-noto-color-emoji). After a change of what people see, look at them and copy them to `docs/`.
"""

import html
import os
import re
from collections.abc import Iterator
from io import BytesIO
from itertools import count
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect

from botsite import celery
from deploy.local import sample
from deploy.local.scaled_stack import ScaledStack
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramControl, TelegramUser
from metrics import cloudwatch
from tests.support import emulators, new_updates
from tests.support.processes import wait_until
from tests.support.running_poll import READY, running_poll
from tests.support.telling_site import telling_site, unread_queue

pytestmark = pytest.mark.slow(quick="tests/local/test_chat_page.py")

PICTURES = Path(__file__).resolve().parents[2] / "var" / "pictures"
FROM_BOT = '[data-testid="message"][data-from="bot"]'
_chat_ids = count(60_000)


def photograph(package: str, file: str) -> bytes:
    """Return a photograph that a package ships, as a JPEG."""
    photo = BytesIO()
    Image.open(BytesIO(sample.shipped(package, file))).convert("RGB").save(photo, "JPEG", quality=92)
    return photo.getvalue()


ASTRONAUT, COFFEE, CAT = (photograph("skimage", f"data/{name}.png") for name in ("astronaut", "coffee", "chelsea"))
PORTRAIT = sample.portrait()


@pytest.fixture(scope="module")
def everyday(tmp_path_factory: pytest.TempPathFactory, yolox_nano: Path) -> Iterator[LocalStack]:
    """A service of its own, which knows everyday objects."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YOLO_WEIGHTS", "")
        weights = sample.choose().weights
    stack = ScaledStack(tmp_path_factory.mktemp("everyday"), weights)
    # The service of other files may be one of this process, too.
    with emulators.put_back(), stack.running():
        stack.adopt("IMAGES_BUCKET", "PREDICTIONS_TABLE", "JOBS_QUEUE_URL", "RESULTS_KEY", "POLYBOT_URL")
        stack.adopt("PREDICTION_ID_KEY", "TELEGRAM_WEBHOOK_SECRET", "TELEGRAM_API_URL", "TELEGRAM_TOKEN")
        celery.reconfigure()
        yield stack
    celery.reconfigure()


def take(of: Page | Locator, name: str, quality: int = 82) -> None:
    """Put a picture into the folder."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    of.screenshot(path=PICTURES / name, type="jpeg", quality=quality)


def phone(browser: Browser, address: str, *, width: int = 400, height: int = 800) -> Page:
    page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=2, reduced_motion="reduce")
    page.goto(address)
    return page


def send(page: Page, *photos: bytes) -> None:
    files: list[FilePayload] = [
        {"name": f"{number}.jpg", "mimeType": "image/jpeg", "buffer": photo} for number, photo in enumerate(photos)
    ]
    page.get_by_test_id("photo-input").set_input_files(files=files)
    page.get_by_test_id("send").click()


def boxed(page: Page) -> Locator:
    """Wait for the last answer's pictures; return the answer."""
    answer = page.locator(FROM_BOT).last
    for picture in (answer.get_by_test_id("photo").first, answer.get_by_test_id("photo").last):
        expect(picture).to_be_visible()
        picture.evaluate("image => image.decode()")
    return answer


def test_photo(browser: Browser, everyday: LocalStack) -> None:
    page = phone(browser, f"{everyday.telegram_url}/?chat={next(_chat_ids)}", height=1000)
    send(page, ASTRONAUT)
    expect(boxed(page)).to_contain_text("1 person")
    take(page, "chat-page.jpg")
    page.close()


def test_album(browser: Browser, everyday: LocalStack) -> None:
    page = phone(browser, f"{everyday.telegram_url}/?chat={next(_chat_ids)}", width=320, height=900)
    send(page, COFFEE, CAT, ASTRONAUT, PORTRAIT)
    expect(page.get_by_text("In all: 2 people")).to_be_visible()
    expect(page.get_by_test_id("inline-button").last).to_have_text("4")
    for picture in page.get_by_test_id("photo").all():
        picture.evaluate("image => image.decode()")
    take(page, "chat-album.jpg")
    page.close()


def test_right_to_left(browser: Browser, everyday: LocalStack) -> None:
    page = phone(browser, f"{everyday.telegram_url}/?chat={next(_chat_ids)}&language=ar", height=1000)
    send(page, COFFEE)
    boxed(page)
    take(page, "chat-rtl.jpg")
    page.close()


def test_group(browser: Browser, everyday: LocalStack) -> None:
    chat_id = -next(_chat_ids)
    topic = TelegramUser(everyday.telegram_url, chat_id, user_id=2, first_name="Alan").make_topic("Holidays")
    ada = TelegramUser(everyday.telegram_url, chat_id, user_id=1, first_name="Ada", thread_id=topic)
    sent = ada.send_photo(CAT, "Who let her in?")
    page = phone(browser, f"{everyday.telegram_url}/?chat={chat_id}&user=2&topic={topic}", height=1000)
    page.locator(f'[data-message-id="{sent}"]').get_by_test_id("reply").click()
    page.get_by_test_id("composer").fill("@object_detection_bot what is this?")
    page.get_by_test_id("send").click()
    expect(boxed(page)).to_contain_text("1 cat")
    take(page, "group-chat.jpg")
    page.close()


def test_waiting(browser: Browser, everyday: LocalStack) -> None:
    user, control = TelegramUser(everyday.telegram_url, next(_chat_ids)), TelegramControl(everyday.telegram_url)
    # It goes to a site whose jobs nobody takes.
    control.fault("webhook", "drop", chat_id=user.chat_id, times=None)
    sent = user.message(user.send_photo(COFFEE))
    assert sent
    assert sent.photo
    workers = everyday.env["ASG_NAME"]
    # Who sends a photo while a worker is idle is told nothing.
    wait_until(lambda: not cloudwatch.groups(workers)[workers].instances, what="no worker from another test")
    with unread_queue() as queue, telling_site(everyday, queue) as site:
        assert site.post(new_updates.with_photo(user.chat_id, sent.photo, message_id=sent.message_id)) == 200
        page = phone(browser, f"{everyday.telegram_url}/?chat={user.chat_id}", height=560)
        expect(page.locator(FROM_BOT)).to_contain_text("A machine is starting")
        take(page, "chat-waiting.jpg")
        page.close()
    control.clear_faults()


def test_pages_of_operators(browser: Browser, everyday: LocalStack) -> None:
    for number in range(3):
        user = TelegramUser(everyday.telegram_url, next(_chat_ids))
        for photo in (PORTRAIT, CAT, COFFEE, ASTRONAUT)[number:]:
            user.wait_for_reply(user.send_photo(photo))
    site = next(iter(everyday.sites.values()))
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.goto(f"{site}/admin/")
    page.get_by_label("Username").fill(everyday.env["ADMIN_USER"])
    page.get_by_label("Password").fill(everyday.env["ADMIN_PASSWORD"])
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Jobs").first.click()
    expect(page.locator("#result_list img").first).to_be_visible()
    loaded = "[...document.querySelectorAll('#result_list img')].every(image => image.complete)"
    # The page's own policy forbids what wait_for_function does.
    assert wait_until(lambda: page.evaluate(loaded))
    take(page, "admin-page.jpg")
    page.goto(f"{site}/ops/")
    expect(page.locator('[data-tile="Time to answer, p50"]')).to_contain_text("s")
    take(page.locator("#content"), "ops-page.jpg", quality=60)
    page.close()


_TERMINAL = """<body style="margin: 0; background: #1b1f27; color: #d8dee9">
<pre style="margin: 18px 24px; font: 15px/23px 'DejaVu Sans Mono', monospace">%s</pre></body>"""
_MARKS = ((r"^(→ .*|\d\d:\d\d:\d\d)", "#8a919e"), (r"(https?://\S+)", "#7db1f0"), (r"^(\$ .*)", "#fff"))


def test_poll(browser: Browser, tmp_path: Path, yolox_nano: Path) -> None:
    with emulators.telegram() as telegram, running_poll(telegram, tmp_path / "poll", YOLO_WEIGHTS="") as poll:
        for photo in (CAT, PORTRAIT, COFFEE):
            user = TelegramUser(telegram, next(_chat_ids))
            user.wait_for_reply(user.send_photo(photo))
        assert wait_until(lambda: poll.output.read_text().count("answered in") == 3)
        said = poll.output.read_text().replace(f"{tmp_path}{os.sep}", "var/")
    assert READY in said
    text = html.escape(f"$ TELEGRAM_TOKEN=... python3 manage.py poll\n{said.strip()}")
    for pattern, colour in _MARKS:
        text = re.sub(pattern, rf'<span style="color: {colour}">\1</span>', text, flags=re.MULTILINE)
    page = browser.new_page(viewport={"width": 1010, "height": 200}, device_scale_factor=1.5)
    page.set_content(_TERMINAL % text)
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / "poll.png", full_page=True)
    page.close()
