"""`manage.py trace` and /ops/trace show one photo's way from the update to the answer."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection.record import items, predictions, queries, timeline, times
from detection.record.reasons import Reason
from detection.record.schemas import Act, Delivery, Detection, Prediction, Status
from detection.record.sentences import Code
from detection.record.timeline import Step
from detection.work import operations
from tests.support import operators
from tests.support.processes import wait_until


def _at(seconds: float) -> datetime:
    return datetime(2026, 11, 24, 10, tzinfo=UTC) + timedelta(seconds=seconds)


STORED = Prediction("p1", 7, 8, "photos/p1", created_at=_at(0), enqueued_at=_at(0.02))
ANSWERED = Prediction(
    "p1",
    7,
    8,
    "photos/p1",
    Status.SUCCEEDED,
    Delivery.DELIVERED,
    attempts=1,
    received_at=_at(0),
    created_at=_at(0.005),
    enqueued_at=_at(0.02),
    started_at=_at(2),
    finished_at=_at(2.1),
    delivered_at=_at(59),
    model="yolo",
    inference_ms=80,
    detections=(Detection("bus", 0.9, 0.5, 0.5, 0.4, 0.4),),
    acts=(Act(_at(58), "resend", "ada"),),
)


def test_answered_photo_has_ordered_steps_with_durations() -> None:
    assert timeline.steps(ANSWERED) == [
        Step("update received", _at(0), "", None),
        Step("photo stored", _at(0.005), "message 8 in chat 7", 5),
        Step("job sent", _at(0.02), "", 15),
        Step("processing started", _at(2), "attempt 1", 1980),
        Step("processed", _at(2.1), "1 object by yolo in 80 ms", 100),
        Step("operator: resend", _at(58), "by ada", 55_900),
        Step("delivered", _at(59), "", 1000),
    ]
    assert timeline.total_ms(ANSWERED) == 59_000


def test_unfinished_photo_has_its_steps_so_far() -> None:
    assert [step.name for step in timeline.steps(STORED)] == ["photo stored", "job sent"]
    assert timeline.total_ms(STORED) is None


def test_refused_file_was_never_stored() -> None:
    refused = Prediction("p1", 7, 8, "photos/p1", Status.FAILED, created_at=_at(1), finished_at=_at(1.01))
    assert [step.name for step in timeline.steps(refused)] == ["file refused", "refused"]
    assert timeline.refused(refused)
    assert operations.against_retry(refused) == "its file was refused and never stored"
    assert "can't be retried" in timeline.advice(replace(refused, delivery=Delivery.DELIVERED))


@pytest.mark.parametrize("known", [{"photo_bytes": 1000}, {"attempts": 1}, {"enqueued_at": _at(0.02)}])
def test_stored_photo_fails_without_refusal(known: dict[str, Any]) -> None:
    failed = Prediction("p1", 7, 8, "photos/p1", Status.FAILED, created_at=_at(1))
    assert timeline.steps(replace(failed, **known))[-1].name != "file refused"
    assert not timeline.refused(replace(failed, **known))


def test_job_given_up_before_it_was_sent_is_not_refused() -> None:
    old = Prediction("p1", 7, 8, "photos/p1", Status.FAILED, created_at=_at(1), reason=Reason(Code.GIVEN_UP))
    assert (timeline.never_stored(old), timeline.refused(old)) == (False, False)


@pytest.mark.parametrize(
    ("known", "gone", "said"),
    [
        ({"reason": Reason(Code.GIVEN_UP)}, False, "Fix the cause, then retry"),
        ({"reason": Reason(Code.GIVEN_UP)}, True, "no longer stored, so it can't be retried"),
        ({"reason": Reason(Code.PHOTO_GONE)}, False, "no longer stored, so it can't be retried"),
        ({"reason": Reason(Code.DAMAGED)}, False, "Nothing to do. Processing it again ends the same way"),
        ({"reason": Reason(Code.DAMAGED)}, True, "was told why the file was refused. Nothing to do."),
        ({"delivery": Delivery.UNDELIVERABLE}, False, "the chat is gone or has blocked the bot"),
        ({"delivery": Delivery.UNDELIVERABLE, "delivery_failures": 13}, False, "failed for hours and was given up"),
    ],
)
def test_advice_fits_the_failure(known: dict[str, Any], gone: bool, said: str) -> None:
    failed = replace(ANSWERED, status=Status.FAILED, photo_bytes=1000, **known)
    assert said in timeline.advice(failed, photo_gone=gone)


def test_given_up_answer_took_no_time() -> None:
    given_up = replace(ANSWERED, delivery=Delivery.UNDELIVERABLE)
    assert (timeline.total_ms(given_up), timeline.steps(given_up)[-1].name) == (None, "given up")


@pytest.mark.parametrize(
    ("delivery", "end"), [(Delivery.DELIVERED, "sent again"), (Delivery.UNDELIVERABLE, "given up")]
)
def test_resent_answer_keeps_its_first_delivery(delivery: Delivery, end: str) -> None:
    resent = replace(ANSWERED, delivery=delivery, resent_at=_at(90))
    assert [(step.name, step.at) for step in timeline.steps(resent)[-2:]] == [("delivered", _at(59)), (end, _at(90))]
    assert timeline.total_ms(resent) == 59_000


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(None, "–"), (0, "0 ms"), (999, "999 ms"), (1400, "1.4 s"), (200_000, "3 min 20 s"), (7_500_000, "2 h 5 min")],
)
def test_durations_are_readable(milliseconds: int | None, text: str) -> None:
    assert timeline.readable(milliseconds) == text


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("delivery", Delivery)
def test_each_state_has_advice(status: Status, delivery: Delivery) -> None:
    prediction = Prediction("p1", 7, 8, "photos/p1", status, delivery)
    assert timeline.advice(prediction).endswith(".")
    assert (timeline.advice(prediction) == "All is well: the answer was delivered to Telegram.") == (
        (status, delivery) == (Status.SUCCEEDED, Delivery.DELIVERED)
    )


def test_times_survive_dynamodb() -> None:
    item = items.write(ANSWERED)
    assert item["started_at"] == "2026-11-24T10:00:02.000Z"
    assert items.read(item) == ANSWERED


@pytest.mark.parametrize("time", ["yesterday", "", 7])
def test_item_with_unreadable_time_is_incomplete(time: object) -> None:
    with pytest.raises(items.Incomplete):
        items.read(items.write(ANSWERED) | {"created_at": time})


def test_time_without_zone_is_utc() -> None:
    assert times.read("2026-11-24T10:00:00") == _at(0)


def test_command_and_page_show_the_same(
    stack: LocalStack, user: TelegramUser, photo: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    user.wait_for_reply(user.send_photo(photo))
    identity = queries.latest_of_chat(user.chat_id)[0]
    wait_until(lambda: (found := predictions.find(identity)) and found.delivery is Delivery.DELIVERED)
    call_command("trace", identity)
    printed = capsys.readouterr().out
    page = re.sub(r"<[^>]+>", " ", operators.admin(stack).get(f"/ops/trace/{identity}").text)
    prediction = predictions.find(identity)
    assert prediction is not None
    for step in timeline.steps(prediction):
        for text in (step.name, timeline.readable(step.after_ms), step.note):
            assert text in printed
            assert text in page


def test_unknown_id_is_an_error(stack: LocalStack) -> None:
    for unknown in ("nobody", "x" * 3000):
        with pytest.raises(CommandError, match="There is no photo"):
            call_command("trace", unknown)
