"""The dashboard updates in the browser while photos come in, fits a phone, and is readable in light and dark."""

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from playwright.sync_api import Browser, Locator, Page, StorageState, expect

from botsite import aws
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection.record import predictions, reasons
from detection.record.schemas import Prediction
from tests.support import letters, states
from tests.support.browsing import CONTRAST, watched
from tests.support.processes import wait_until

PHOTOS = 6
ANSWERED = '[data-tile="Time to answer, p50"] .note'
_LOOK = """Object.defineProperty(document, "hidden", {value: %s, configurable: true});
document.dispatchEvent(new Event("visibilitychange"));"""
LOOK_AWAY, LOOK_AGAIN = _LOOK % "true", _LOOK % "false"
ALARMS = re.compile(r"^(The other )?\d+ alarms$")
READABLE = ", ".join(
    (
        ".notice, .verdict, .verdict *, .spans a, .tile dt, .tile dd, .plot span, .readout, .legend li, .as-of",
        ".rows td, summary",
    )
)
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
    predictions.fail(prediction.prediction_id, reasons.of("Something went wrong."))
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


def probe(page: Page) -> Locator:
    """Return what shows the values of the first chart."""
    return page.locator("#chart-backlog .probe")


def answered(page: Page) -> int:
    """Return how many photos of the last hour were answered, according to the page."""
    words = page.locator(ANSWERED).inner_text().split()
    assert words[0] in ("of", "no")
    return int(words[1]) if words[0] == "of" else 0


@pytest.mark.slow
def test_three_hours_of_backlog_are_drawn_with_target(page: Page, past: None) -> None:
    page.get_by_role("link", name="3 hours").click()
    words = re.compile("3 hours ago to now: backlog now [0-9.]+, at most 900; target 270")
    chart = page.get_by_role("img", name=words)
    expect(chart).to_be_visible()
    expect(chart.locator("path.series-1")).to_have_attribute("d", re.compile("^M[0-9.]+ [0-9.]+(L[0-9.]+ [0-9.]+){58}"))
    expect(chart.locator("path.target")).to_have_attribute("d", "M0 87.6H600")


@pytest.mark.slow
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
        f"""sent => Number(document.querySelector({ANSWERED!r}).innerText.match(/of (\\d+)/)?.[1]) >= sent""",
        arg=before + PHOTOS,
    )
    expect(tile(page, "Time to answer, p50")).to_contain_text("s")
    assert page.evaluate("window.same")


@pytest.mark.slow
def test_dead_letter_shows_up_and_is_replayed(page: Page, given_up: Prediction) -> None:
    expect(tile(page, "Dead letters")).to_contain_text("(needs attention)")
    page.locator('[data-tile="Dead letters"]').click()
    expect(page.get_by_role("link", name=given_up.prediction_id)).to_be_visible()
    assert page.locator("#result_list").evaluate("table => table.offsetWidth") > 800
    asked = page.get_by_role("button", name="Yes, replay")

    def asks() -> bool:
        # The service's own burial may be reading the letter: the page says so, and one tries again.
        page.reload()
        if not page.get_by_role("link", name=given_up.prediction_id).is_visible():
            return False
        page.get_by_label("Select all letters on this page").check()
        page.get_by_role("button", name="Replay").click()
        expect(asked.or_(page.get_by_text("being read somewhere else"))).to_be_visible()
        return asked.is_visible()

    wait_until(asks)
    asked.click()
    expect(page.get_by_text(f"Replayed: {given_up.prediction_id}.")).to_be_visible()
    expect(page.get_by_text("No dead letters.")).to_be_visible()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 390, 1280])
def test_pages_fit_and_are_readable_in_light_and_dark(
    page: Page, site_address: str, past: None, scheme: str, width: int
) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("/ops/dead-letters", "/ops/"):
        page.goto(site_address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.locator("h1").count() == 1, path
    page.get_by_text(ALARMS).click()
    probe(page).focus()
    assert page.locator(READABLE).evaluate_all(CONTRAST) >= 4.5
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("h2").all_inner_texts() == ["Queue", "Photos", "Machines", "Events", "Alarms"]


@pytest.mark.slow
def test_time_range_stays_in_address_and_refreshes(page: Page) -> None:
    page.get_by_role("link", name="24 hours").click()
    expect(page).to_have_url(re.compile(r"/ops/\?range=24h$"))
    expect(page.get_by_role("link", name="24 hours")).to_have_attribute("aria-current", "page")
    with page.expect_response("**/ops/live?range=24h"):
        expect(page.get_by_role("img", name="Workers, 24 hours ago to now")).to_be_visible()


@pytest.mark.slow
def test_pointer_shows_values_of_a_moment(page: Page, past: None) -> None:
    readout = probe(page).locator("output")
    shown = []
    for share in (0.3, 0.9):

        def point(share: float = share) -> bool:
            """Point at the chart; a refresh may move it away at any moment."""
            box = probe(page).bounding_box()
            assert box
            for shift in (0, 1):
                page.mouse.move(box["x"] + share * box["width"] + shift, box["y"] + 40)
            inside = readout.bounding_box()
            return inside is not None and (
                box["x"] <= inside["x"] <= inside["x"] + inside["width"] <= box["x"] + box["width"]
            )

        wait_until(point)
        expect(readout).to_have_text(re.compile(r"^\d\d:\d\d UTC\nbacklog \d+$"))
        shown.append(datetime.strptime((readout.text_content() or "")[:5], "%H:%M").replace(tzinfo=UTC))
    # Midnight may lie between the two moments.
    assert timedelta(0) < (shown[1] - shown[0]) % timedelta(days=1) < timedelta(hours=3)
    page.mouse.move(0, 0)
    expect(readout).to_be_hidden()


@pytest.mark.slow
def test_keys_show_values_and_refreshes_keep_them(page: Page, past: None) -> None:
    slider = page.get_by_role("slider", name="Backlog per instance")
    slider.focus()
    # The page may have been loaded before the hour was published.
    expect(slider).to_have_attribute("aria-valuemax", re.compile(r"^\d\d"))
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"UTC, backlog \d"))
    newest = int(slider.get_attribute("aria-valuenow") or 0)
    slider.press("ArrowLeft")
    slider.press("PageDown")
    with page.expect_response("**/ops/live*"):
        expect(slider).to_have_attribute("aria-valuenow", str(newest - 11))
    expect(slider.locator("output")).to_be_visible()
    expect(slider).to_be_focused()
    slider.press("Home")
    expect(slider).to_have_attribute("aria-valuenow", "0")
    slider.press("Escape")
    expect(slider.locator("output")).to_be_hidden()


@pytest.mark.slow
def test_refreshes_keep_focus_and_unfolded_lists(page: Page) -> None:
    page.get_by_text(ALARMS).click()
    link = page.get_by_role("link", name="Waiting", exact=True)
    link.focus()
    for _ in range(2):
        with page.expect_response("**/ops/live*"):
            expect(page.get_by_role("row", name=re.compile("objdet-metric-gap"))).to_be_visible()
    expect(link).to_be_focused()


def test_tile_is_a_link_to_its_jobs(page: Page) -> None:
    page.locator('[data-tile="Waiting"]').click()
    expect(page).to_have_url(re.compile(r"/admin/detection/job/\?status=queued$"))


@pytest.mark.slow
def test_whatever_needs_somebody_is_at_the_top(page: Page, given_up: Prediction) -> None:
    verdict = page.locator(".verdict")
    verdict.get_by_role("link", name="Dead letters").click()
    expect(page).to_have_url(re.compile("#tile-dead-letters$"))


@pytest.mark.slow
def test_hidden_page_stops_refreshing(page: Page) -> None:
    asked: list[str] = []
    page.clock.install()
    page.reload()
    page.evaluate(LOOK_AWAY)
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(60_000)
    assert asked == []
    with page.expect_response("**/ops/live*"):
        page.evaluate(LOOK_AGAIN)


@pytest.mark.slow
def test_page_says_when_its_numbers_are_out_of_date(page: Page) -> None:
    page.context.set_offline(True)
    expect(page.get_by_role("status")).to_contain_text("out of date")
    page.context.set_offline(False)
    expect(page.locator("#stale")).to_be_hidden()


@pytest.mark.slow
def test_expired_session_leads_to_login_page(page: Page) -> None:
    page.context.clear_cookies()
    expect(page.get_by_label("Password")).to_be_visible()
    assert "next=/ops/" in page.url
