"""An operator logs in with a browser, finds a failed job, retries it, and its sender sees the answer."""

from collections.abc import Iterator
from itertools import count
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection.record import images, predictions, queries, reasons
from detection.record.schemas import Prediction
from tests.support import states
from tests.support.browsing import CONTRAST, watched
from tests.support.cases import slow_after

WHY = "The model was away, and came back too late for this photo and for all after it."
_chat_ids = count(81_000)


@pytest.fixture
def page(browser: Browser, stack: LocalStack, admin_login: StorageState, site_address: str) -> Iterator[Page]:
    """Open a page, logged in. It may neither log errors nor contact a host other than the bucket's."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, storage_state=admin_login)
    with watched(page, f"{site_address}/", f"{stack.endpoint}/{stack.env['IMAGES_BUCKET']}/"):
        yield page


@pytest.fixture
def failed(stack: LocalStack, photo: bytes) -> Prediction:
    """Return a failed job whose cause is fixed and whose sender was told."""
    sender, identity = TelegramUser(stack.telegram_url, next(_chat_ids)), uuid4().hex
    prediction = Prediction(identity, sender.chat_id, sender.send_text("hello"), f"photos/{identity}")
    images.put(prediction.image_key, photo, "image/jpeg")
    predictions.create(prediction)
    predictions.fail(identity, reasons.of(WHY))
    states.deliver(identity)
    return prediction


def test_failed_job_is_found_retried_and_answered(
    page: Page, browser: Browser, stack: LocalStack, site_address: str, failed: Prediction
) -> None:
    page.goto(f"{site_address}/admin/")
    page.get_by_role("link", name="Jobs").first.click()
    page.get_by_role("link", name="Failed").click()
    page.get_by_label("Chat").fill(str(failed.chat_id))
    page.get_by_role("button", name="Search").click()
    page.locator("#result_list tbody th a").click()
    expect(page.get_by_text(WHY).first).to_be_visible()
    page.get_by_role("link", name="Retry").click()
    page.get_by_role("button", name="Yes, retry").click()
    expect(page.get_by_text(f"Retried: {failed.prediction_id}")).to_be_visible()
    chat = browser.new_page()
    chat.goto(f"{stack.telegram_url}/?chat={failed.chat_id}")
    expect(chat.locator('[data-from="bot"]').get_by_test_id("photo").first).to_be_visible()
    chat.close()


@pytest.mark.slow
def test_job_page_shows_both_pictures(page: Page, stack: LocalStack, site_address: str, photo: bytes) -> None:
    sender = TelegramUser(stack.telegram_url, next(_chat_ids))
    sender.wait_for_reply(sender.send_photo(photo))
    page.goto(f"{site_address}/admin/detection/job/{queries.latest_of_chat(sender.chat_id)[0]}/change/")
    pictures = page.locator(".pictures img")
    expect(pictures).to_have_count(2)
    for number in range(2):
        assert pictures.nth(number).evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


@pytest.mark.slow
@pytest.mark.parametrize("scheme", slow_after(1, ["light", "dark"]))
def test_pages_fit_phones_and_are_readable_in_light_and_dark(
    page: Page, site_address: str, failed: Prediction, scheme: str
) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 400, "height": 800})
    job = f"/admin/detection/job/{failed.prediction_id}/change/"
    for path in ("/admin/detection/job/", job, f"/ops/trace/{failed.prediction_id}"):
        page.goto(site_address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400, path
        assert page.locator("h1").count() == 1, path
        assert page.locator(".state").evaluate_all(CONTRAST) >= 4.5, path
        # Readable without scrolling sideways.
        assert page.locator(".timeline").evaluate_all("all => all.every(each => each.offsetWidth <= 400)"), path
    page.goto(f"{site_address}/admin/detection/job/{failed.prediction_id}/history/")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.goto(f"{site_address}/admin/detection/job/")
    assert page.get_by_label("Prediction id").evaluate("field => field.offsetWidth") > 150


@pytest.mark.slow
def test_list_shows_why_jobs_failed(page: Page, site_address: str, failed: Prediction) -> None:
    page.goto(f"{site_address}/admin/detection/job/?chat={failed.chat_id}")
    row = page.locator("#result_list tbody tr")
    expect(row.locator(".error")).to_be_in_viewport(ratio=1)
    assert row.evaluate("row => row.offsetHeight") < 100


@pytest.mark.slow
def test_all_jobs_of_page_are_deleted_by_keyboard(page: Page, site_address: str, failed: Prediction) -> None:
    page.goto(f"{site_address}/admin/detection/job/?chat={failed.chat_id}")
    page.get_by_label("Select all jobs on this page").focus()
    page.keyboard.press("Space")
    expect(page.get_by_label(f"Select job {failed.prediction_id}")).to_be_checked()
    page.get_by_role("button", name="Delete with images").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Yes, delete with images").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Deleted: {failed.prediction_id}")).to_be_visible()
    assert predictions.find(failed.prediction_id) is None


@pytest.mark.slow
def test_django_pages_comply_with_content_security_policy(page: Page, site_address: str) -> None:
    for path in ("", "auth/user/", "password_change/"):
        answer = page.goto(f"{site_address}/admin/{path}")
        assert answer is not None
        assert "'unsafe" not in answer.headers["content-security-policy"]
        expect(page.locator("h1")).to_be_visible()
