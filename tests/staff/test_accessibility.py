"""Every page can be used with a keyboard and a screen reader, and from right to left, as far as axe finds out."""

from collections.abc import Iterator
from itertools import count

import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, StorageState, expect

from botsite import language
from botsite.bot.words import replies
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection.record import queries
from tests.support.browsing import barriers, watched
from tests.support.cases import slow_after

FROM_BOT = '[data-testid="message"][data-from="bot"]'
JOBS = "/admin/detection/job/"
PAGES = ("/ops/", "/ops/dead-letters", "/admin/", JOBS, "/admin/auth/user/", "/admin/password_change/")
SCHEMES = slow_after(1, ["light", "dark"])
_chat_ids = count(330_000)


@pytest.fixture
def page(browser: Browser, stack: LocalStack, admin_login: StorageState, site_address: str) -> Iterator[Page]:
    """Open a page of the site, logged in. Its content security policy would keep axe out."""
    page = browser.new_page(
        viewport={"width": 1280, "height": 1000}, storage_state=admin_login, bypass_csp=True, reduced_motion="reduce"
    )
    with watched(page, f"{site_address}/", f"{stack.endpoint}/{stack.env['IMAGES_BUCKET']}/"):
        yield page


def chat(browser: Browser, stack: LocalStack, code: str, scheme: str = "light") -> Page:
    """Open the chat page of somebody new, on a phone."""
    page = browser.new_page(viewport={"width": 400, "height": 800}, device_scale_factor=2, reduced_motion="reduce")
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(f"{stack.telegram_url}/?chat={next(_chat_ids)}&language={code}")
    expect(page.get_by_test_id("start")).to_be_visible()
    return page


def talk(page: Page, photo: bytes) -> Locator:
    """Ask for help and send a photo; return its answer."""
    page.get_by_test_id("start").click()
    expect(page.locator(FROM_BOT)).to_have_count(1)
    upload: FilePayload = {"name": "street.jpg", "mimeType": "image/jpeg", "buffer": photo}
    page.get_by_test_id("photo-input").set_input_files(files=[upload])
    page.get_by_test_id("send").click()
    answer = page.locator(FROM_BOT).nth(1)
    expect(answer.get_by_test_id("photo")).to_be_visible()
    return answer


@pytest.mark.parametrize("scheme", SCHEMES)
def test_chat_page_has_no_barriers(browser: Browser, stack: LocalStack, photo: bytes, scheme: str) -> None:
    page = chat(browser, stack, "en", scheme)
    assert barriers(page) == []
    answer = talk(page, photo)
    answer.get_by_role("button", name="More").click()
    answer.get_by_role("button", name="Download data").click()
    expect(page.get_by_test_id("document")).to_be_visible()
    assert barriers(page) == []
    page.get_by_test_id("composer").fill("/")
    for button in ("Attach a photo or a file", "switch person"):
        page.get_by_role("button", name=button).click()
        assert barriers(page) == []
        page.keyboard.press("Escape")
    answer.get_by_test_id("photo").click()
    expect(page.get_by_role("dialog", name="Photo")).to_be_visible()
    assert barriers(page) == []
    page.goto(f"{stack.telegram_url}/?chat=-{next(_chat_ids)}&strangers=1")
    expect(page.get_by_text("the bot answers as a guest")).to_be_visible()
    assert barriers(page) == []
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_a_person_writes_is_readable(browser: Browser, stack: LocalStack, scheme: str) -> None:
    page = chat(browser, stack, "en", scheme)
    page.get_by_test_id("composer").fill("/help and https://example.org")
    page.get_by_test_id("send").click()
    expect(page.locator(FROM_BOT)).to_have_count(1)
    page.locator('[data-testid="message"]').first.scroll_into_view_if_needed()
    assert barriers(page) == []
    page.close()


def test_picture_is_described_by_its_caption(browser: Browser, stack: LocalStack, photo: bytes) -> None:
    page = chat(browser, stack, "en")
    answer = talk(page, photo)
    words = answer.get_by_test_id("text").inner_text()
    assert answer.get_by_test_id("photo").get_attribute("alt") == words
    answer.get_by_test_id("photo").click()
    expect(page.get_by_role("dialog").get_by_role("img", name=words)).to_be_visible()
    page.close()


@pytest.mark.slow
def test_conversation_is_held_by_keyboard(browser: Browser, stack: LocalStack, photo: bytes) -> None:
    page = chat(browser, stack, "en")
    answer = talk(page, photo)
    reached = focus(page, answer.get_by_role("button", name="More"))
    page.keyboard.press("Enter")
    reached += focus(page, answer.get_by_role("button", name="Hide labels"))
    page.keyboard.press("Enter")
    expect(answer.get_by_role("button", name="Hide labels")).to_be_hidden()
    reached += focus(page, answer.get_by_role("button", name="More"))
    page.keyboard.press("Enter")
    expect(answer.get_by_role("button", name="Show labels")).to_be_visible()
    focus(page, answer.locator("button.photo"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Photo")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Photo")).to_be_hidden()
    focus(page, page.get_by_test_id("composer"))
    page.keyboard.type("hello")
    page.keyboard.press("Enter")
    expect(page.locator(FROM_BOT).last).to_contain_text("Send me a photo")
    assert "nonenone" not in reached
    page.close()


def focus(page: Page, wanted: Locator) -> list[str]:
    """Go to an element with the tab key; return how each element on the way showed that it had the focus."""
    shown: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        shown.append(
            page.evaluate(
                """() => {
                  const style = getComputedStyle(document.activeElement), shown = style.outlineStyle + style.boxShadow;
                  return document.activeElement === document.body ? "the browser's own" : shown;
                }"""
            )
        )
        if wanted.evaluate("node => node === document.activeElement"):
            return shown
    raise AssertionError(f"{wanted} is not reached with the tab key")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_conversation_reads_from_right_to_left(browser: Browser, stack: LocalStack, photo: bytes, scheme: str) -> None:
    page = chat(browser, stack, "ar", scheme)
    answer = talk(page, photo)
    with language.speaking("ar"):
        start, more = language.gettext(replies.START), language.gettext("More")
    expect(page.locator(FROM_BOT).first.get_by_test_id("text")).to_have_text(start)
    expect(answer.get_by_role("button", name=more)).to_be_visible()
    words = page.locator(f"{FROM_BOT} .words")
    assert [each.evaluate("node => getComputedStyle(node).direction") for each in words.all()] == ["rtl", "rtl"]
    assert [each.evaluate(_TIME_IS_FREE) for each in words.all()] == [True, True]
    assert barriers(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    page.close()


# The time in the corner of a bubble covers no line of its text.
_TIME_IS_FREE = """node => {
  const range = document.createRange();
  range.selectNodeContents(node);
  const time = node.parentElement.querySelector(".meta").getBoundingClientRect();
  return ![...range.getClientRects()].some(line => line.left < time.right && time.left < line.right
    && line.top < time.bottom && time.top < line.bottom - 4);
}"""


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_pages_of_operators_have_no_barriers(
    page: Page, stack: LocalStack, site_address: str, photo: bytes, scheme: str
) -> None:
    sender = TelegramUser(stack.telegram_url, next(_chat_ids))
    sender.wait_for_reply(sender.send_photo(photo))
    identity = queries.latest_of_chat(sender.chat_id)[0]
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    found: dict[str, list[str]] = {}
    for path in (*PAGES, f"{JOBS}{identity}/change/", f"/ops/trace/{identity}"):
        answer = page.goto(f"{site_address}{path}")
        assert answer
        assert (path, answer.status) == (path, 200)
        found[path] = barriers(page)
    assert {path: problems for path, problems in found.items() if problems} == {}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_login_has_no_barriers(browser: Browser, site_address: str, scheme: str) -> None:
    page = browser.new_page(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(f"{site_address}/admin/login/")
    assert barriers(page) == []
    page.close()
