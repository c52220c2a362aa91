"""Sending an answer again leaves the record of its first delivery as it is."""

from uuid import uuid4

import pytest

from deploy.local.stack import LocalStack
from detection.record import deliveries, predictions, reasons
from detection.record.schemas import Delivery, Prediction
from tests.support import states

pytestmark = pytest.mark.usefixtures("stack")


@pytest.fixture
def failed(stack: LocalStack) -> str:
    """Return a job that failed and whose sender was not told yet."""
    identity = uuid4().hex
    predictions.create(Prediction(identity, 7, 1, f"photos/{identity}"))
    predictions.fail(identity, reasons.of("Something broke."))
    return identity


@pytest.mark.slow
def test_resend_is_recorded_next_to_the_first_delivery(failed: str) -> None:
    first = states.deliver(failed)
    waiting = deliveries.reopen(failed).prediction
    again = states.deliver(failed)
    assert waiting is not None
    assert (waiting.delivery, waiting.delivered_at) == (Delivery.PENDING, first.delivered_at)
    assert (again.delivered_at, first.resent_at, again.resent_at is not None) == (first.delivered_at, None, True)


def test_answer_given_up_before_gets_its_first_delivery(failed: str) -> None:
    leased = deliveries.claim(failed).prediction
    assert leased is not None
    deliveries.finish(leased, Delivery.UNDELIVERABLE)
    deliveries.reopen(failed)
    again = states.deliver(failed)
    assert (again.delivery, again.resent_at, again.delivered_at is not None) == (Delivery.DELIVERED, None, True)


def test_retried_job_forgets_the_answers_before(failed: str) -> None:
    states.deliver(failed)
    deliveries.reopen(failed)
    states.deliver(failed)
    retried = predictions.reopen(failed).prediction
    assert retried is not None
    assert (retried.delivered_at, retried.resent_at) == (None, None)
    predictions.delete(failed)


def test_answer_being_sent_is_not_reopened(failed: str) -> None:
    deliveries.claim(failed)
    assert not deliveries.reopen(failed).granted
