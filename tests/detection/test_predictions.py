"""Predictions change state by conditional writes: a step that happens twice has its effect once."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from uuid import uuid4

import pytest

from botsite import aws
from deploy.local.stack import LocalStack
from detection.record import deliveries, items, predictions, reasons
from detection.record.schemas import Delivery, Detection, Prediction, Status
from tests.support import states
from tests.support.faulty import FaultySite, failing, through

_groups = count(2**41)
BUS = Detection("bus", 0.875, 0.5, 0.25, 0.125, 0.0625)


@pytest.fixture
def queued(stack: LocalStack) -> Prediction:
    identity = uuid4().hex
    created = predictions.create(Prediction(identity, -(2**40), 7, f"photos/{identity}"))
    assert created.prediction is not None
    return created.prediction


@pytest.fixture
def processing(queued: Prediction) -> Prediction:
    claimed = predictions.claim(queued.prediction_id, "job-1")
    assert claimed.prediction is not None
    return claimed.prediction


@pytest.fixture
def succeeded(processing: Prediction) -> Prediction:
    stored = predictions.succeed(processing, [BUS], "yolo", 12)
    assert stored.prediction is not None
    return stored.prediction


def test_stored_prediction_is_read_back(succeeded: Prediction) -> None:
    assert predictions.find(succeeded.prediction_id) == succeeded
    assert (succeeded.detections, succeeded.model, succeeded.inference_ms) == ((BUS,), "yolo", 12)


def test_item_is_created_once(queued: Prediction) -> None:
    again = predictions.create(Prediction(queued.prediction_id, 1, 1, "other"))
    assert (again.granted, again.prediction) == (False, queued)


def test_item_expires_and_is_listed(queued: Prediction, stack: LocalStack) -> None:
    table, key = stack.env["PREDICTIONS_TABLE"], {"prediction_id": queued.prediction_id}
    item = aws.dynamodb().get_item(TableName=table, Key=key)["Item"]
    assert item[items.KIND] == items.PHOTO
    assert 29 * 86400 < int(item["expires_at"]) - time.time() < 31 * 86400


def test_twenty_jobs_at_once_claim_once(queued: Prediction) -> None:
    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(lambda number: predictions.claim(queued.prediction_id, f"job-{number}"), range(20)))
    assert [outcome.granted for outcome in outcomes].count(True) == 1


def test_returned_message_takes_over(processing: Prediction) -> None:
    found = predictions.claim(processing.prediction_id, "job-1")
    assert (found.granted, found.prediction) == (False, processing)
    assert predictions.abandoned(processing, "job-1")
    again = predictions.take_over(processing, "job-1").prediction
    assert again is not None
    assert (again.attempts, again.tries) == (2, 2)
    assert not predictions.take_over(processing, "job-1").granted


def test_stale_claim_is_abandoned(processing: Prediction, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not predictions.abandoned(processing, "job-2")
    monkeypatch.setattr(predictions, "PROCESSING_STALE", timedelta(seconds=-1))
    assert predictions.abandoned(processing, "job-2")


def test_returned_claim_is_not_a_try(processing: Prediction) -> None:
    assert predictions.give_back(processing).granted
    again = predictions.claim(processing.prediction_id, "job-2").prediction
    assert again is not None
    assert (again.attempts, again.tries) == (2, 1)


def test_failure_is_recorded(processing: Prediction) -> None:
    assert predictions.note_failure(processing, "ValueError").granted
    again = predictions.claim(processing.prediction_id, "job-1").prediction
    assert again is not None
    assert (again.failure, again.tries) == ("ValueError", 2)


def test_claim_with_lost_reply_is_granted(queued: Prediction, site: FaultySite) -> None:
    site.break_(failing("dynamodb", "UpdateItem", "reply lost") | {"times": 1})
    with through(site):
        claimed = predictions.claim(queued.prediction_id, "job-1")
    assert claimed.granted
    assert claimed.prediction is not None
    assert claimed.prediction.attempts == 1


def test_worker_of_earlier_round_is_refused(processing: Prediction) -> None:
    predictions.fail(processing.prediction_id, reasons.of("sorry"))
    assert predictions.reopen(processing.prediction_id).granted
    newer = predictions.claim(processing.prediction_id, "job-2").prediction
    assert newer is not None
    assert newer.attempts > processing.attempts
    assert not predictions.succeed(processing, [], "yolo", 1).granted
    assert predictions.succeed(newer, [BUS], "yolo", 1).granted


def test_overtaken_worker_is_refused(processing: Prediction) -> None:
    newer = predictions.take_over(processing, "job-1").prediction
    assert newer is not None
    assert not predictions.succeed(processing, [], "yolo", 1).granted
    assert predictions.succeed(newer, [BUS], "yolo", 1).granted


def test_finished_prediction_does_not_change(succeeded: Prediction) -> None:
    assert not predictions.claim(succeeded.prediction_id, "job-1").granted
    assert not predictions.fail(succeeded.prediction_id, reasons.of("late")).granted
    found = predictions.find(succeeded.prediction_id)
    assert found is not None
    assert (found.status, found.error) == (Status.SUCCEEDED, None)


def test_unfinished_prediction_is_not_delivered(processing: Prediction) -> None:
    assert not deliveries.claim(processing.prediction_id).granted


def test_one_sender_holds_lease(succeeded: Prediction, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = succeeded.prediction_id
    first = deliveries.claim(identity).prediction
    assert first is not None
    assert not deliveries.claim(identity).granted
    assert deliveries.release(first).granted
    monkeypatch.setattr(deliveries, "LEASE", timedelta(seconds=-1))
    second = deliveries.claim(identity).prediction
    assert second is not None
    # That lease has run out already: its holder is taken for gone, and cannot give back what another has.
    monkeypatch.undo()
    assert deliveries.claim(identity).granted
    assert not deliveries.release(second).granted


def test_delivered_answer_is_not_leased_again(succeeded: Prediction) -> None:
    identity = succeeded.prediction_id
    finished = states.deliver(identity)
    assert (finished.delivery, bool(finished.delivered_at)) == (Delivery.DELIVERED, True)
    assert not deliveries.claim(identity).granted
    assert not deliveries.release(finished).granted


def test_retry_waits_for_apology(processing: Prediction) -> None:
    identity = processing.prediction_id
    predictions.fail(identity, reasons.of("sorry"))
    assert not predictions.fail(identity, reasons.of("sorry again")).granted
    apology = deliveries.claim(identity).prediction
    assert apology is not None
    assert not predictions.reopen(identity).granted
    deliveries.finish(apology, Delivery.DELIVERED)
    assert predictions.reopen(identity).granted


def test_late_record_of_apology_does_not_settle_result(processing: Prediction, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = processing.prediction_id
    predictions.fail(identity, reasons.of("sorry"))
    monkeypatch.setattr(deliveries, "LEASE", timedelta(seconds=-1))
    apology = deliveries.claim(identity).prediction
    assert apology is not None
    assert predictions.reopen(identity).granted
    claimed = predictions.claim(identity, "job-2").prediction
    assert claimed is not None
    predictions.succeed(claimed, [BUS], "yolo", 1)
    assert not deliveries.finish(apology, Delivery.DELIVERED).granted
    result = deliveries.claim(identity).prediction
    assert result is not None
    assert not deliveries.finish(apology, Delivery.DELIVERED).granted
    assert deliveries.finish(result, Delivery.DELIVERED).granted


def test_postponed_answer_waits(succeeded: Prediction) -> None:
    identity = succeeded.prediction_id
    first = deliveries.claim(identity).prediction
    assert first is not None
    assert deliveries.postpone(first, timedelta(hours=1)).granted
    refused = deliveries.claim(identity)
    assert not refused.granted
    assert refused.prediction is not None
    assert (refused.prediction.delivery, refused.prediction.delivery_failures) == (Delivery.PENDING, 1)


def test_answers_follow_migrated_group(stack: LocalStack) -> None:
    group, supergroup = -next(_groups), -next(_groups)
    waiting, answered = (_failed_in(group) for _ in range(2))
    states.deliver(answered)
    deliveries.migrate_chat(group, supergroup)
    chats = [found.chat_id for each in (waiting, answered) if (found := predictions.find(each))]
    assert chats == [supergroup, group]


def _failed_in(chat_id: int) -> str:
    identity = uuid4().hex
    predictions.create(Prediction(identity, chat_id, 7, f"photos/{identity}"))
    predictions.fail(identity, reasons.of("sorry"))
    return identity


def test_unknown_id_creates_nothing(stack: LocalStack) -> None:
    identity = uuid4().hex
    assert predictions.claim(identity, "job") == predictions.Outcome(granted=False, prediction=None)
    assert predictions.find(identity) is None
