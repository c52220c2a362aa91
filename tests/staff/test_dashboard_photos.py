"""The dashboard's numbers of photos: exact while there are few, estimates of many, refusals apart from our failures."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from django.conf import settings

from botsite import aws
from botsite.pause import Pause
from botsite.staff.dashboard import photos as dashboard_photos
from deploy.local.stack import LocalStack
from detection.picture.image_headers import too_many_pixels
from detection.record import times
from detection.record.schemas import Delivery, Status
from detection.record.sentences import Code
from metrics import percentile
from metrics.health import photos, slots, waiting
from metrics.health.slots import Slot, Wait
from tests.support.faulty import FaultySite, through

NOW = datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC)
HOUR = 3600
_numbers = count(1)
Item = dict[str, Any]


def item(age_seconds: float, now: datetime = NOW, **given: Any) -> Item:
    """Return the item of a photo that came so long ago and was answered a second later."""
    stored = now - timedelta(seconds=age_seconds)
    done = {"status": "succeeded", "delivery": "delivered", "delivered_at": times.text(stored + timedelta(seconds=1))}
    return {"created_at": times.text(stored), **done, **given}


def failure(error: str, age_seconds: float = 10, **given: Any) -> Item:
    """Return the item of a photo that a worker tried, and failed."""
    return item(age_seconds, status="failed", error=error, attempts=1, **given)


def summary(*found: Item, failures: tuple[Item, ...] = ()) -> photos.Recent:
    return photos.summary(found, failures, NOW, HOUR, 60)


def test_photos_are_counted_by_slot() -> None:
    said = summary(item(10), item(29), item(70, delivery="pending"), item(3500))
    assert [(slot.photos, len(slot.waits)) for slot in said.slots[-2:]] == [(2, 2), (1, 0)][::-1]
    assert (len(said.slots), said.last_minute, said.photos, said.answered) == (60, 2, 4, 3)


def test_newest_slot_counts_begun_minute() -> None:
    newest = summary(item(10), item(29)).slots[-1]
    assert (newest.seconds, newest.per_minute(newest.photos)) == (30, 4.0)
    assert Slot(at=0, seconds=1, photos=1).per_minute(1) == 2.0


def test_waits_begin_with_the_update() -> None:
    early = times.text(NOW - timedelta(seconds=15))
    assert summary(item(10, received_at=early)).percentile(50) == 6000


def test_items_with_bad_times_are_tolerated() -> None:
    said = summary({"created_at": "yesterday"}, {"created_at": ""})
    assert (said.photos, said.last_minute, said.percentile(50)) == (0, 0, None)


@pytest.mark.parametrize("percent", [1, 50, 95, 100])
def test_exact_waits_have_the_one_percentile(percent: float) -> None:
    numbers = [7, 1, 9, 30, 4, 4, 100]
    slot = Slot(0, 60, waits=tuple(map(Wait, numbers)))
    assert slots.percentile([slot], percent) == percentile.of(sorted(numbers), percent)


def test_sampled_waits_count_by_the_photos_they_stand_for() -> None:
    busy = Slot(0, 60, photos=900, waits=(Wait(9000, 900.0),))
    quiet = Slot(60, 60, photos=100, waits=(Wait(1000, 100.0),))
    assert [slots.percentile([busy, quiet], percent) for percent in (9, 50, 95)] == [1000, 9000, 9000]


def test_slot_is_estimated_by_its_newest_photos() -> None:
    end = NOW.timestamp()
    photos, waits = slots.estimate([item(age) for age in range(2, 52, 2)], end - 600, end)
    assert photos == pytest.approx(300)
    assert len(waits) == 25
    assert sum(wait.weight for wait in waits) == pytest.approx(300)
    assert slots.estimate([], end - 600, end) == (0, ())


@pytest.mark.parametrize(
    ("found", "refused"),
    [
        pytest.param(
            item(5, status="failed", error=Code.TOO_LARGE.value.format(megabytes=25), attempts=0),
            True,
            id="by the site",
        ),
        pytest.param(failure(Code.NO_IMAGE.value), True, id="a PDF"),
        pytest.param(failure(Code.DAMAGED.value), True, id="damaged"),
        pytest.param(failure(str(too_many_pixels(9000, 9000))), True, id="too many pixels"),
        pytest.param(failure(Code.OWN_FAILURE.value), False, id="the model failed"),
        pytest.param(failure(Code.GIVEN_UP.value), False, id="given up"),
        pytest.param(failure(Code.PHOTO_GONE.value), False, id="photo gone"),
        pytest.param(failure("Sorry about that."), False, id="an operator's words"),
        pytest.param(item(5, status="failed", error=Code.GIVEN_UP.value, attempts=0), False, id="never taken"),
    ],
)
def test_refused_files_are_no_failures_of_ours(found: Item, refused: bool) -> None:
    said = summary(found, failures=(found,))
    assert (said.refused, said.failed) == ((1, 0) if refused else (0, 1))
    assert (said.slots[-1].refused, said.slots[-1].failed) == (said.refused, said.failed)


@pytest.fixture
def table(stack: LocalStack) -> Iterator[str]:
    """Return an empty table with the service's indexes."""
    client = aws.client("dynamodb")
    like = client.describe_table(TableName=settings.PREDICTIONS_TABLE)["Table"]
    name = f"dashboard-{next(_numbers)}"
    indexes = [
        {key: one[key] for key in ("IndexName", "KeySchema", "Projection")} for one in like["GlobalSecondaryIndexes"]
    ]
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=indexes,
        **{key: like[key] for key in ("KeySchema", "AttributeDefinitions")},
    )
    yield name
    client.delete_table(TableName=name)


def put(table: str, *found: Item) -> None:
    """Store items in a table."""
    with_keys = [{"prediction_id": f"p{next(_numbers)}", "kind": "photo", "chat_id": 7, **one} for one in found]
    for start in range(0, len(with_keys), 25):
        puts = [{"PutRequest": {"Item": one}} for one in with_keys[start : start + 25]]
        aws.dynamodb().batch_write_item(RequestItems={table: puts})


def test_few_photos_are_read_exactly(table: str) -> None:
    now = datetime.now(UTC)
    put(table, item(5, now, model="shapes"), item(100, now), item(4000, now))
    put(table, item(7, now, status="failed", error=Code.GIVEN_UP.value, attempts=5))
    put(table, item(8, now, delivery="undeliverable"))
    said = photos.read_photos(HOUR, 60, table)
    assert (said.photos, said.answered, said.sampled, said.more, said.model) == (4, 3, False, False, "shapes")
    assert (said.failed, said.refused, said.undeliverable) == (1, 0, 1)


def test_many_photos_take_a_bounded_number_of_queries(
    table: str, site: FaultySite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "_READ_AT_MOST", 100)
    now = datetime.now(UTC)
    # One every ten seconds, of which those of the first half hour took ten times as long.
    put(table, *(item(age, now) for age in range(1, 1800, 10)))
    put(
        table,
        *(item(age, now, delivered_at=times.text(now - timedelta(seconds=age - 10))) for age in range(1801, 3540, 10)),
    )
    with through(site):
        before = site.requests("dynamodb")
        said = photos.read_photos(HOUR, 300, table)
        assert site.requests("dynamodb") - before <= 3 + 4
    assert (said.sampled, said.photos) == (True, 100)
    assert sum(slot.photos for slot in said.slots) == pytest.approx(354, rel=0.1)
    assert (said.percentile(25), said.percentile(95)) == (1000, 10_000)


def test_nobody_waits_in_an_empty_table(table: str) -> None:
    assert waiting.read_waits(table) == waiting.Waiting(None, None)


@pytest.mark.parametrize(
    ("found", "for_worker", "for_answer"),
    [
        pytest.param({"status": Status.QUEUED}, 60, 60, id="queued"),
        pytest.param({"status": Status.QUEUED, "started_at": "2026"}, None, None, id="reopened, without a job yet"),
        pytest.param({"status": Status.SUCCEEDED}, None, 60, id="not sent yet"),
        pytest.param({"status": Status.FAILED, "delivery": Delivery.DELIVERING}, None, 60, id="being sent"),
        pytest.param({"status": Status.SUCCEEDED, "delivered_at": "2026"}, None, None, id="sent again"),
        pytest.param({"status": Status.SUCCEEDED, "delivery": Delivery.DELIVERED}, None, None, id="answered"),
    ],
)
def test_longest_wait_is_of_unanswered_photos(
    table: str, found: Item, for_worker: float | None, for_answer: float | None
) -> None:
    created = times.text(datetime.now(UTC) - timedelta(seconds=60))
    put(table, {"created_at": created, "delivery": Delivery.PENDING, **found})
    said = waiting.read_waits(table)
    expected = [pytest.approx(one, abs=10) if one else None for one in (for_worker, for_answer)]
    assert [said.worker_seconds, said.answer_seconds] == expected


def test_whoever_waits_for_more_than_an_hour_is_owed_an_answer(table: str) -> None:
    put(table, *(item(age, datetime.now(UTC), status="queued", delivery="pending") for age in (3500, 3700, 9000)))
    # A photo that was answered and is sent again is owed nothing.
    put(table, item(9000, datetime.now(UTC), delivery="pending"))
    said = waiting.read_waits(table)
    assert said.overdue == 2
    shown = [dashboard_photos._owed(said, paused) for paused in (None, Pause("ann", NOW))]
    assert [(each.value, each.bad) for each in shown] == [("2", True), ("2", False)]
    assert not dashboard_photos._owed(waiting.Waiting(None, None), None).bad


def test_retried_photo_waits_since_it_was_retried(table: str) -> None:
    now = datetime.now(UTC)
    long_ago, lately = (times.text(now - timedelta(seconds=seconds)) for seconds in (90_000, 20))
    put(table, {"created_at": long_ago, "status": "processing", "delivery": "pending", "enqueued_at": lately})
    put(table, {"created_at": long_ago, "status": "failed", "delivery": "pending", "attempts": 2, "started_at": lately})
    assert waiting.read_waits(table).answer_seconds == pytest.approx(20, abs=10)
