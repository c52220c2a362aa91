"""The dashboard shows how the service is doing, what is unknown and why; operators replay dead letters from it."""

import html
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry

from botsite import aws, pause
from botsite.staff.dashboard import charts
from botsite.staff.dashboard.charts import Frame
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection.record import images, predictions, reasons, times
from detection.record.schemas import Prediction, Status
from detection.work import dead_letters
from metrics.evaluation import Point
from metrics.health import events
from tests.support import letters, operators, states
from tests.support.cases import slow_after
from tests.support.faulty import FaultySite, failing
from tests.support.operators import Operator
from tests.support.processes import wait_until

TILE = re.compile(r'data-tile="([^"]+)">\s*<dt>.*?</dt>\s*<dd class="value[^"]*">([^<]+)')
TILES = [
    ["Waiting", "In progress", "Oldest waiting", "Dead letters", "Backlog per instance", "Metric freshness"],
    ["Longest wait now", "Owed an answer", "Time to answer, p50", "Time to answer, p95", "Photos per minute"],
    ["Our failures", "Refused files", "Undeliverable", "Feedback"],
    ["Workers in service", "Workers wanted", "Sites", "Metric machine", "Code", "Model"],
    ["Newest event"],
    ["Alarms on", "Scaling alarms on", "Alarms without data"],
]
OF_PHOTOS = [*TILES[1][1:], *TILES[2]]
PAGES = ("/ops/", "/ops/live", "/ops/dead-letters", "/ops/feedback", "/ops/dead-letters/replay?id=x")


@pytest.fixture(scope="module")
def admin(stack: LocalStack) -> Operator:
    return operators.admin(stack)


@pytest.fixture(scope="module")
def operator(faulty_site: FaultySite, stack: LocalStack) -> Operator:
    return operators.admin(stack, faulty_site.url)


@pytest.fixture
def given_up(user: TelegramUser, photo: bytes) -> Iterator[tuple[Prediction, str]]:
    """Return the only job that was given up, and the id of its dead letter."""
    letters.clear()
    identity = uuid4().hex
    prediction = Prediction(identity, user.chat_id, user.send_text("hello"), f"photos/{identity}")
    images.put(prediction.image_key, photo, "image/jpeg")
    predictions.create(prediction)
    predictions.fail(identity, reasons.of("Something went wrong."))
    states.deliver(identity)
    yield prediction, letters.bury(prediction)
    letters.clear()


def tiles(operator: Operator) -> dict[str, str]:
    """Return the values on the dashboard by name."""
    return {name: value.strip() for name, value in TILE.findall(operator.get("/ops/live").text)}


def test_dashboard_shows_state_of_service(admin: Operator, user: TelegramUser, photo: bytes) -> None:
    user.wait_for_reply(user.send_photo(photo))

    def told() -> dict[str, str] | None:
        said = tiles(admin)
        return said if said["Time to answer, p95"] != "–" and said["Metric freshness"].endswith(" s") else None

    said = wait_until(told) or {}
    assert list(said) == [name for section in TILES for name in section]
    assert "unknown" not in said.values()
    assert int(said["Photos per minute"]) >= 1
    assert (said["Workers wanted"], float(said["Backlog per instance"]) >= 0) == ("0", True)


def test_dashboard_says_when_first_worker_is_expected(admin: Operator) -> None:
    # The worker of the tests is in no group; another test may have left a job.
    words = r"No worker is running\. (The next photo starts one and waits|The first is expected in) about [34] min\."
    wait_until(lambda: re.search(words, admin.get("/ops/live").text))


def test_charts_have_text_alternatives(admin: Operator, stack: LocalStack) -> None:
    page = admin.get("/ops/").text
    assert re.findall(r'role="img" aria-label="([^,]+), ([^:]+) to now: ', page) == [
        ("Backlog per instance", "1 hour ago"),
        ("Workers", "1 hour ago"),
        ("Photos per minute", "1 hour ago"),
        ("Time to answer", "1 hour ago"),
    ]
    assert f'; target {stack.env["BACKLOG_TARGET"]}"' in page
    assert " style=" not in page


def test_newest_events_are_shown(admin: Operator, stack: LocalStack) -> None:
    log = stack.folder / "logs" / events.LOCAL
    numbers = range(7)
    log.write_text("".join(f"{times.text(times.now())} yolo5-{one} ended with code -9\n" for one in numbers))
    try:
        page = wait_until(lambda: text if "yolo5-6 ended" in (text := admin.get("/ops/live").text) else "")
    finally:
        log.unlink()
    section = page.partition('id="section-events"')[2].partition("</section>")[0]
    assert re.findall(r"yolo5-(\d) ended with code -9</td>", section) == [str(one) for one in reversed(numbers)]
    assert "2 older events" in section


def test_strangers_get_login_page(stack: LocalStack) -> None:
    stranger = Operator(next(iter(stack.sites.values())))
    for page in PAGES:
        assert stranger.get(page).headers["location"].startswith("/admin/login/?next=/ops/")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("/ops", "/ops/"),
        ("/admin", "/admin/"),
        ("/admin/detection/job?status=failed", "/admin/detection/job/?status=failed"),
        ("/ops/dead-letters/", "/ops/dead-letters"),
        ("/ops/trace/p1/", "/ops/trace/p1"),
    ],
)
def test_missing_or_extra_slash_redirects_to_page(admin: Operator, typed: str, meant: str) -> None:
    answer = admin.get(typed)
    assert (answer.is_redirect, answer.headers.get("location")) == (True, meant)


def test_endpoints_for_programs_never_redirect(admin: Operator) -> None:
    assert [admin.send(path).status_code for path in ("/telegram/webhook", "/telegram/webhook/")] == [403, 404]
    assert [admin.get(path).status_code for path in ("/results", "/results/", "/healthz", "/readyz")] == [
        403,
        404,
        200,
        200,
    ]


def test_staff_without_permission_see_and_do_nothing(stack: LocalStack, given_up: tuple[Prediction, str]) -> None:
    nobody, viewer = operators.staff(stack, "ops-none", []), operators.staff(stack, "ops-view", ["view_job"])
    assert [nobody.get(page).status_code for page in PAGES] == [403] * len(PAGES)
    assert [viewer.get(page).status_code for page in PAGES] == [200, 200, 200, 200, 403]
    assert 'name="id"' not in viewer.get("/ops/dead-letters").text
    for path in (f"replay?id={given_up[1]}", f"delete?id={given_up[1]}", "delete-all"):
        assert viewer.post(f"/ops/dead-letters/{path}").status_code == 403
    assert [letter.message_id for letter in dead_letters.look()] == [given_up[1]]


@pytest.mark.parametrize(
    ("service", "operation", "unknown"),
    slow_after(
        1,
        [
            ("sqs", "GetQueueAttributes", ["Waiting", "In progress", "Dead letters"]),
            ("dynamodb", "Query", ["Oldest waiting", "Longest wait now", *OF_PHOTOS]),
            ("autoscaling", "DescribeAutoScalingGroups", TILES[3][:4]),
            ("autoscaling", "DescribePolicies", ["Backlog per instance", "Metric freshness"]),
            ("cloudwatch", "GetMetricData", ["Backlog per instance", "Metric freshness"]),
            ("cloudwatch", "DescribeAlarms", ["Alarms on"]),
        ],
    ),
)
def test_failing_source_is_unknown_with_its_reason(
    site: FaultySite, operator: Operator, service: str, operation: str, unknown: list[str]
) -> None:
    # A site that has not seen the machines yet could not tell their code either.
    wait_until(lambda: "unknown" not in tiles(operator).values())
    site.break_(failing(service, operation, "access denied"))
    wait_until(lambda: [name for name, value in tiles(operator).items() if value == "unknown"] == unknown)
    wait_until(lambda: "AccessDenied" in operator.get("/ops/").text)
    site.repair()
    wait_until(lambda: "unknown" not in tiles(operator).values())


def test_ten_open_pages_cost_as_much_as_one(site: FaultySite, operator: Operator) -> None:
    before = site.requests("cloudwatch")
    with ThreadPoolExecutor(10) as pool:
        pages = list(pool.map(lambda _: Operator(site.url, operator.cookies).get("/ops/live"), range(10)))
    assert [page.status_code for page in pages] == [200] * 10
    # In each of the site's two processes: the newest points, perhaps twice, those of the charts, and the alarms twice.
    assert site.requests("cloudwatch") - before <= 2 * 5


def test_replayed_dead_letter_is_answered_and_recorded(
    stack: LocalStack, admin: Operator, user: TelegramUser, given_up: tuple[Prediction, str]
) -> None:
    prediction, letter = given_up
    assert prediction.prediction_id in admin.get("/ops/dead-letters").text
    assert prediction.prediction_id in admin.get(f"/ops/dead-letters/replay?id={letter}").text
    assert admin.post(f"/ops/dead-letters/replay?id={letter}").headers["location"] == "/ops/dead-letters"
    assert f"Replayed: {prediction.prediction_id}." in admin.get("/ops/dead-letters").text
    assert user.wait_for(lambda message: message.photo is not None).reply_to == prediction.message_id
    found = predictions.find(prediction.prediction_id)
    assert found is not None
    assert (found.status, [act.operation for act in found.acts]) == (Status.SUCCEEDED, ["replay"])
    assert _recorded(stack, prediction.prediction_id) == ["Replayed from the dead-letter queue."]


def _recorded(stack: LocalStack, identity: str) -> list[str]:
    """Return what the admin of the first site has recorded about it."""
    with operators.logins(stack, next(iter(stack.sites.values()))) as database:
        entries = LogEntry.objects.using(database).filter(object_id=identity)
        return [entry.change_message for entry in entries]


def test_letter_without_job_is_shown_and_recorded(stack: LocalStack, admin: Operator) -> None:
    letter = letters.put("<b>not a job</b>")
    assert "&lt;b&gt;not a job" in admin.get("/ops/dead-letters").text
    admin.post(f"/ops/dead-letters/replay?id={letter}")
    assert _recorded(stack, letter) == ["Replayed from the dead-letter queue."]


@pytest.mark.slow
def test_missing_letters_and_empty_selection_are_reported(admin: Operator) -> None:
    assert admin.get("/ops/dead-letters/replay?id=nothing").headers["location"] == "/ops/dead-letters"
    assert (
        "1 selected letter is gone: already replayed or deleted, or being read somewhere else right now."
        in admin.get("/ops/dead-letters").text
    )
    assert admin.get("/ops/dead-letters/replay").headers["location"] == "/ops/dead-letters"
    assert "Select at least one letter." in admin.get("/ops/dead-letters").text


@pytest.mark.slow
def test_failing_dead_letter_queue_gives_error_page(site: FaultySite, operator: Operator) -> None:
    site.break_(failing("sqs", "ReceiveMessage", "internal error"))
    answers = [operator.get("/ops/dead-letters"), operator.post("/ops/dead-letters/replay?id=x")]
    site.repair()
    assert [(answer.status_code, "errornote" in answer.text) for answer in answers] == [(503, True)] * 2


def test_line_breaks_at_missing_points_and_stays_in_frame() -> None:
    points = [Point(0, 1), Point(60, 5), Point(1000, 20)]
    chart = Frame(now=1000, seconds=1000, gap=90).draw("Load", "long ago", {"load": points}, target=10)
    assert (chart.lines[0].way, chart.lines[0].dots) == ("M0.0 114.0L36.0 90.0", "M600.0 0.0h0")
    assert (chart.top, chart.target) == ("20", 60.0)
    assert chart.words == "Load, long ago to now: load now 20, at most 20; target 10"
    assert json.loads(chart.values) == {
        "since": 0,
        "seconds": 1000,
        "width": 600,
        "lines": {"load": [[0.0, "1"], [36.0, "5"], [600, "20"]]},
    }


def test_unknown_time_range_names_the_choices(admin: Operator) -> None:
    for path in ("/ops/?range=2h", "/ops/live?range=2h"):
        answer = admin.get(path)
        assert answer.status_code == 400
        assert "not a time range. The choices are 1h, 3h, 24h, 7d." in answer.text


@pytest.mark.parametrize(("name", "since"), [("3h", "3 hours"), ("24h", "24 hours"), ("7d", "7 days")])
def test_time_range_is_in_charts_and_refresh(admin: Operator, name: str, since: str) -> None:
    page = admin.get(f"/ops/?range={name}").text
    assert set(re.findall(r'role="img" aria-label="[^,]+, ([^:]+) to now: ', page)) == {f"{since} ago"}
    assert f'data-source="/ops/live?range={name}"' in page
    assert f"in the last {since}" in admin.get(f"/ops/live?range={name}").text


def test_tiles_lead_to_pages(admin: Operator) -> None:
    page = admin.get("/ops/").text
    links = dict(re.findall(r'<dt><a href="([^"]+)">([^<]+)</a>', page))
    assert {"Our failures", "Refused files", "Undeliverable"} <= set(links.values())
    since = r"since=\d{4}-\d\d-\d\dT\d\d%3A\d\d"
    assert re.search(rf'href="{operators.JOBS}\?status=refused&amp;{since}">Refused files', page)
    for link in links:
        if link.startswith("#"):
            assert f'id="{link[1:]}"' in page, link
        else:
            assert admin.get(html.unescape(link)).status_code == 200, link


@pytest.mark.slow
def test_pause_and_hold_are_told(admin: Operator, stack: LocalStack) -> None:
    table, group, autoscaling = stack.env["PREDICTIONS_TABLE"], stack.env["ASG_NAME"], aws.client("autoscaling")
    action = {"AutoScalingGroupName": group, "ScheduledActionName": "hold 2 by user/jo"}
    autoscaling.put_scheduled_update_group_action(**action, StartTime=datetime(2040, 1, 2, 3, 4, tzinfo=UTC), MinSize=0)
    pause.begin(table, "arn:aws:iam::1:user/jo")
    try:
        wait_until(lambda: "Workers: hold 2 by user/jo, until 2040-01-02 03:04 UTC." in admin.get("/ops/live").text)
        wait_until(lambda: "Paused by user/jo since " in admin.get("/ops/live").text)
        assert "The next photo starts one" not in admin.get("/ops/live").text
    finally:
        pause.end(table)
        autoscaling.delete_scheduled_action(**action)
    wait_until(lambda: "Paused by" not in admin.get("/ops/live").text)


@pytest.mark.slow
def test_unknown_pause_and_hold_are_told(site: FaultySite, operator: Operator) -> None:
    site.break_(
        failing("autoscaling", "DescribeScheduledActions", "access denied"),
        failing("dynamodb", "GetItem", "access denied"),
    )
    wait_until(lambda: "Whether the workers are held is unknown: " in operator.get("/ops/live").text)
    wait_until(lambda: "Whether the service is paused is unknown: " in operator.get("/ops/live").text)
    site.repair()
    wait_until(lambda: "Whether" not in operator.get("/ops/live").text)


@pytest.mark.parametrize(
    ("highest", "top", "height", "name"),
    [
        pytest.param(0, "1000", 62.4, "target 480", id="nothing to squash"),
        pytest.param(3, "5", None, "target 480, far above", id="too small to be seen next to the target"),
        pytest.param(120, "1000", 62.4, "target 480", id="large enough"),
        pytest.param(3000, "5000", 108.5, "target 480", id="beyond the target"),
    ],
)
def test_distant_target_is_named_not_drawn(highest: float, top: str, height: float | None, name: str) -> None:
    chart = Frame(now=60, seconds=60, gap=90).draw("Load", "long ago", {"load": [Point(0, highest)]}, target=480)
    assert (chart.top, chart.target, chart.target_name) == (top, height, name)
    assert chart.words.endswith("; target 480")


def test_chart_without_points_says_so() -> None:
    chart = Frame(now=0, seconds=60, gap=90).draw("Load", "long ago", {"load": []})
    assert (chart.lines[0].way, chart.empty, chart.target, chart.top) == ("", True, None, "1")
    assert chart.words.endswith("load unknown, no data")


@pytest.mark.parametrize(("value", "top"), [(0, 1), (1, 1), (1.1, 2), (12, 20), (20, 20), (501, 1000), (4e6, 5e6)])
def test_upper_edge_of_chart_is_round_number(value: float, top: float) -> None:
    assert charts.nice(value) == top
