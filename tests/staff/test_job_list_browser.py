"""The list of jobs in a browser: whole at 1280 pixels, a card a job on a phone; all that match are retried from it."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, StorageState, expect

from botsite import aws
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection.record import images, items, predictions, times
from detection.record.reasons import Reason
from detection.record.schemas import Delivery, Prediction, Status
from detection.record.sentences import Code
from tests.support import letters, turn
from tests.support.browsing import CONTRAST, watched

LIST = "/admin/detection/job/"
COLUMNS = ("chat", "waited", "attempts", "inference")
# Every row's cells of these columns lie within the page, and so does the table within its frame.
_CUT_OFF = """names =>
  [...document.querySelectorAll(".results")].filter(each => each.scrollWidth > each.clientWidth).length
  + names.flatMap(name => [...document.querySelectorAll(`td.${name}`)])
    .filter(each => each.getBoundingClientRect().right > innerWidth || !each.offsetWidth).length"""
_chat_ids = count(91_000)


@pytest.fixture
def page(browser: Browser, admin_login: StorageState, site_address: str) -> Iterator[Page]:
    """Open a page, logged in. It may neither log errors nor contact another host."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, storage_state=admin_login)
    with watched(page, f"{site_address}/"):
        yield page


@pytest.fixture
def sender(stack: LocalStack, photo: bytes) -> TelegramUser:
    """Return somebody with an answered photo, a refused file, and two jobs of ours that failed."""
    sender = TelegramUser(stack.telegram_url, next(_chat_ids))
    sender.wait_for_reply(sender.send_photo(photo))
    sender.wait_for_reply(sender.send_document(b"%PDF-1.7", "invoice.pdf", "application/pdf"))
    for number in range(2):
        identity, at = uuid4().hex, times.read(f"2026-01-05T00:00:0{number}.000Z")
        images.put(f"photos/{identity}", photo, "image/jpeg")
        failed = Prediction(
            identity, sender.chat_id, sender.send_text("x"), f"photos/{identity}", Status.FAILED, Delivery.DELIVERED,
            attempts=5, created_at=at, finished_at=at, delivered_at=at, photo_bytes=1,
            reason=Reason(Code.GIVEN_UP),
        )  # fmt: skip
        aws.dynamodb().put_item(TableName=settings.PREDICTIONS_TABLE, Item=items.write(failed))
    return sender


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_list_fits_the_window_and_is_readable(
    page: Page, site_address: str, sender: TelegramUser, width: int, scheme: str
) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{site_address}{LIST}?chat={sender.chat_id}")
    expect(page.locator("#result_list tbody tr")).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(_CUT_OFF, list(COLUMNS)) == 0
    assert page.locator(".state, #job-filters a, .button, td[data-label]").evaluate_all(CONTRAST) >= 4.5
    picture = page.locator(".picture img")
    expect(picture).to_have_count(1)
    assert (
        picture.evaluate("image => image.decode().then(() => Math.max(image.naturalWidth, image.naturalHeight))") == 112
    )


@pytest.mark.slow
def test_only_failures_of_ours_are_red(page: Page, site_address: str, sender: TelegramUser) -> None:
    page.goto(f"{site_address}{LIST}?chat={sender.chat_id}")
    colours = page.locator(".state").evaluate_all(
        "all => Object.fromEntries(all.map(each => [each.textContent, getComputedStyle(each).color]))"
    )
    red = page.evaluate(
        "() => { const probe = document.createElement('i'); probe.style.color = 'var(--error-fg)';"
        " document.body.append(probe); return getComputedStyle(probe).color; }"
    )
    assert [name for name, colour in colours.items() if colour == red] == ["failed"]
    assert "refused" in colours


@pytest.mark.slow
def test_range_of_time_is_chosen_in_the_form(page: Page, site_address: str, sender: TelegramUser) -> None:
    page.goto(f"{site_address}{LIST}?chat={sender.chat_id}")
    page.get_by_label("From (UTC)").fill("2026-01-05T00:00")
    page.get_by_label("To (UTC)").fill("2026-01-05T00:01")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    expect(page.get_by_label("From (UTC)")).to_have_value("2026-01-05T00:00")
    page.get_by_role("link", name="Last hour").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    expect(page.locator("#result_list tbody")).not_to_contain_text("2026-01-05")


@pytest.mark.slow
def test_all_matching_jobs_are_retried_and_counted(page: Page, site_address: str, sender: TelegramUser) -> None:
    predictions.delete("bulk#jobs")
    page.goto(f"{site_address}{LIST}?chat={sender.chat_id}&status=failed")
    page.locator(".actions a", has_text="Retry").click()
    expect(page.get_by_text("2 jobs match.")).to_be_visible()
    page.get_by_role("button", name="Yes, retry").click()
    expect(page.get_by_text("2 of 2 done.")).to_be_visible()
    expect(page.locator("#bulk .state")).to_have_text("finished")
    assert page.locator("progress").evaluate("bar => bar.value") == 2
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_matching_jobs_are_downloaded(page: Page, site_address: str, sender: TelegramUser, tmp_path: Path) -> None:
    page.goto(f"{site_address}{LIST}?chat={sender.chat_id}")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename.endswith(".csv")
    # The run's browser keeps it elsewhere.
    download.value.save_as(tmp_path / "jobs.csv")
    assert len((tmp_path / "jobs.csv").read_text().splitlines()) == 5


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_dead_letters_fit_and_are_deleted(
    page: Page, site_address: str, stack: LocalStack, width: int, scheme: str
) -> None:
    with turn.held("bury", "sweep"):
        letters.clear()
        letters.put("not a job " * 30)
        letters.bury(Prediction("f" * 32, 1, 1, "x"))
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{site_address}/ops/dead-letters")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(_CUT_OFF, ["cause", "sender"]) == 0
        assert page.locator("#changelist a, #changelist td").evaluate_all(CONTRAST) >= 4.5
        page.locator(".actions a", has_text="Delete").click()
        page.get_by_role("button", name="Yes, delete").click()
        expect(page.get_by_text("Deleted: 2 letters.")).to_be_visible()
        expect(page.get_by_text("No dead letters.")).to_be_visible()
