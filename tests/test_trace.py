"""`manage.py trace` and /ops/trace show one photo's way from the update to the answer."""

import re
from dataclasses import replace
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection import predictions, timeline
from detection.schemas import Act, Delivery, Detection, Prediction, Status
from detection.timeline import Step
from tests.support import operators
from tests.support.processes import wait_until

DAY = "2026-11-24T10:00:"
STORED = Prediction("p1", 7, 8, "photos/p1", created_at=f"{DAY}00.000Z", enqueued_at=f"{DAY}00.020Z")
ANSWERED = Prediction(
    "p1",
    7,
    8,
    "photos/p1",
    Status.SUCCEEDED,
    Delivery.DELIVERED,
    attempts=1,
    received_at=f"{DAY}00.000Z",
    created_at=f"{DAY}00.005Z",
    enqueued_at=f"{DAY}00.020Z",
    started_at=f"{DAY}02.000Z",
    finished_at=f"{DAY}02.100Z",
    delivered_at=f"{DAY}59.000Z",
    model="yolo",
    inference_ms=80,
    detections=(Detection("bus", 0.9, 0.5, 0.5, 0.4, 0.4),),
    acts=(Act(f"{DAY}58.000Z", "resend", "ada"),),
)


def test_steps_of_an_answered_photo_are_in_order_with_their_durations() -> None:
    assert timeline.steps(ANSWERED) == [
        Step("update received", f"{DAY}00.000Z", "", None),
        Step("photo stored", f"{DAY}00.005Z", "message 8 in chat 7", 5),
        Step("job sent", f"{DAY}00.020Z", "", 15),
        Step("processing started", f"{DAY}02.000Z", "attempt 1", 1980),
        Step("processed", f"{DAY}02.100Z", "1 object by yolo in 80 ms", 100),
        Step("operator: resend", f"{DAY}58.000Z", "by ada", 55_900),
        Step("delivered", f"{DAY}59.000Z", "", 1000),
    ]
    assert timeline.total_ms(ANSWERED) == 59_000


def test_unfinished_photo_has_its_steps_so_far() -> None:
    assert [step.name for step in timeline.steps(STORED)] == ["photo stored", "job sent"]
    assert timeline.total_ms(STORED) is None


def test_refused_file_was_never_stored() -> None:
    refused = Prediction(
        "p1", 7, 8, "photos/p1", Status.FAILED, created_at=f"{DAY}01.000Z", finished_at=f"{DAY}01.010Z"
    )
    assert [step.name for step in timeline.steps(refused)] == ["file refused", "failed"]
    assert timeline.refused(refused)
    assert "can't be retried" in timeline.advice(replace(refused, delivery=Delivery.DELIVERED))


@pytest.mark.parametrize("known", [{"photo_bytes": 1000}, {"attempts": 1}, {"enqueued_at": f"{DAY}00.020Z"}])
def test_failed_photo_that_was_stored_is_not_refused(known: dict[str, Any]) -> None:
    failed = Prediction("p1", 7, 8, "photos/p1", Status.FAILED, created_at=f"{DAY}01.000Z")
    assert timeline.steps(replace(failed, **known))[-1].name != "file refused"
    assert not timeline.refused(replace(failed, **known))


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


def test_invalid_time_is_left_out() -> None:
    odd = Prediction("p1", 7, 8, "photos/p1", created_at="yesterday", started_at="2026-11-24T10:00:00")
    assert [step.name for step in timeline.steps(odd)] == ["processing started"]


def test_command_and_page_show_the_same(
    stack: LocalStack, user: TelegramUser, photo: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    user.wait_for_reply(user.send_photo(photo))
    identity = predictions.latest_of_chat(user.chat_id)[0]
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
