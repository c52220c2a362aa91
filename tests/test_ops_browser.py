"""The dashboard updates in the browser while photos come in, fits a phone, and is readable in light and dark."""

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, StorageState, expect

from botsite import aws
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection import predictions
from detection.schemas import Prediction
from tests.support import letters, states
from tests.support.browsing import CONTRAST, watched

PICTURE = Path(__file__).resolve().parent.parent / "var" / "ops.jpg"
PHOTOS = 6
ANSWERED = '[data-tile="Time to answer, p50"] .note'
_LOOK = """Object.defineProperty(document, "hidden", {value: %s, configurable: true});
document.dispatchEvent(new Event("visibilitychange"));"""
LOOK_AWAY, LOOK_AGAIN = _LOOK % "true", _LOOK % "false"
_chat_ids = count(86_000)


@pytest.fixture
def page(browser: Browser, admin_login: StorageState, site_address: str) -> Iterator[Page]:
    """Open the dashboard, logged in. It may neither log errors nor contact another host."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000}, storage_state=admin_login)
    with watched(page, f"{site_address}/"):
        page.goto(f"{site_address}/ops/")
        expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
        yield page


@pytest.fixture
def given_up(stack: LocalStack) -> Iterator[Prediction]:
    """Return the only job that was given up; it has no photo."""
    letters.clear()
    sender = TelegramUser(stack.telegram_url, next(_chat_ids))
    prediction = Prediction(f"ops{sender.chat_id}", sender.chat_id, sender.send_text("hello"), "photos/gone")
    predictions.create(prediction)
    predictions.fail(prediction.prediction_id, "Something went wrong.")
    states.deliver(prediction.prediction_id)
    letters.bury(prediction)
    yield prediction
    letters.clear()


@pytest.fixture(scope="module")
def in_service(stack: LocalStack) -> Iterator[None]:
    """Have the group say what is true: one worker runs."""
    autoscaling, name = aws.client("autoscaling"), stack.env["ASG_NAME"]
    autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    yield
    autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)


@pytest.fixture(scope="module")
def past(stack: LocalStack, in_service: None) -> None:
    """Publish three hours of a backlog that rises and falls twice, one point per minute."""
    now = datetime.now(UTC)
    values = [max(0.0, round(900 * math.sin(minute / 24))) for minute in range(178)]
    dimensions = [{"Name": "AutoScalingGroupName", "Value": stack.env["ASG_NAME"]}]
    points = [
        {"MetricName": "BacklogPerInstance", "Dimensions": dimensions, "Value": value, "StorageResolution": 1}
        | {"Timestamp": now - timedelta(minutes=minute)}
        for minute, value in enumerate(values)
    ]
    aws.client("cloudwatch").put_metric_data(Namespace="ObjectDetection", MetricData=points)


def tile(page: Page, name: str) -> Locator:
    return page.locator(f'[data-tile="{name}"] .value')


def answered(page: Page) -> int:
    """Return how many photos of the last half hour were answered, according to the page."""
    words = page.locator(ANSWERED).inner_text().split()
    assert words[:1] == ["of"]
    return int(words[1])


def test_three_hours_of_backlog_are_drawn_with_target(page: Page, past: None) -> None:
    words = re.compile("3 hours ago to now: backlog now [0-9.]+, at most 900; target 270")
    chart = page.get_by_role("img", name=words)
    expect(chart).to_be_visible()
    expect(chart.locator("path.series-1")).to_have_attribute(
        "d", re.compile("^M[0-9.]+ [0-9.]+h0(L[0-9.]+ [0-9.]+){99}")
    )
    expect(chart.locator("path.target")).to_have_attribute("d", "M0 87.6H600")


def test_dashboard_updates_under_load_without_reload(page: Page, stack: LocalStack, photo: bytes, past: None) -> None:
    page.evaluate("window.same = true")
    before = answered(page)
    sender = TelegramUser(stack.telegram_url, next(_chat_ids))
    sent = [sender.send_photo(photo) for _ in range(PHOTOS)]
    # Photos of other tests may drop out or be answered meanwhile; neither lowers these numbers.
    page.wait_for_function(
        """sent => Number(document.querySelector('[data-tile="Photos per minute"] .value').innerText) >= sent""",
        arg=PHOTOS,
    )
    for message in sent:
        sender.wait_for_reply(message)
    page.wait_for_function(
        f"""sent => Number(document.querySelector({ANSWERED!r}).innerText.split(" ")[1]) >= sent""",
        arg=before + PHOTOS,
    )
    expect(tile(page, "Time to answer, p50")).to_contain_text("s")
    assert page.evaluate("window.same")
    PICTURE.parent.mkdir(exist_ok=True)
    page.locator("#content").screenshot(path=PICTURE, type="jpeg", quality=60)


def test_dead_letter_shows_up_and_is_replayed(page: Page, given_up: Prediction) -> None:
    expect(tile(page, "Dead letters")).to_contain_text("(needs attention)")
    page.get_by_role("link", name="Dead letters").click()
    expect(page.get_by_role("link", name=given_up.prediction_id)).to_be_visible()
    assert page.locator("#result_list").evaluate("table => table.offsetWidth") > 800
    page.get_by_label("Select all letters on this page").check()
    page.get_by_role("button", name="Replay").click()
    page.get_by_role("button", name="Yes, replay").click()
    expect(page.get_by_text(f"Replayed: {given_up.prediction_id}.")).to_be_visible()
    expect(page.get_by_text("No dead letters.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_phones_and_are_readable_in_light_and_dark(page: Page, site_address: str, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 360, "height": 800})
    for path in ("/ops/", "/ops/dead-letters"):
        page.goto(site_address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        assert page.locator("h1").count() == 1, path
    page.goto(f"{site_address}/ops/")
    assert page.locator(".notice, .tile dt, .tile dd, .plot span, .legend li, .as-of").evaluate_all(CONTRAST) >= 4.5
    assert page.locator("h2").all_inner_texts() == ["Queue", "Machines", "Photos"]


def test_hidden_page_stops_refreshing(page: Page) -> None:
    asked: list[str] = []
    page.clock.install()
    page.reload()
    page.evaluate(LOOK_AWAY)
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(60_000)
    assert asked == []
    with page.expect_response("**/ops/live"):
        page.evaluate(LOOK_AGAIN)


def test_page_says_when_its_numbers_are_out_of_date(page: Page) -> None:
    page.context.set_offline(True)
    expect(page.get_by_role("status")).to_contain_text("out of date")
    page.context.set_offline(False)
    expect(page.locator("#stale")).to_be_hidden()


def test_expired_session_leads_to_login_page(page: Page) -> None:
    page.context.clear_cookies()
    expect(page.get_by_label("Password")).to_be_visible()
    assert "next=/ops/" in page.url
