"""A site that is told to stop finishes what it has started, and sends no answer twice."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from deploy.local.processes import Child, free_port
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramControl, TelegramUser
from detection.record import predictions, reasons
from detection.record.schemas import Delivery, Prediction
from detection.work import callback
from tests.support.processes import wait_until

# How long Telegram takes to answer: longer than the worker waits, shorter than any test deadline.
SLOW_SECONDS = 5.0
# gunicorn's own, from deploy/gunicorn.conf.py.
WORKERS = 2


@pytest.fixture
def site(stack: LocalStack) -> Iterator[Child]:
    """A site of its own, unknown to the load balancer."""
    child = stack.start_site("127.0.0.1", free_port())
    # gunicorn loses a SIGTERM for a worker that is still being forked.
    child.wait_ready(lambda: sum("ASGI server listening" in line for line in list(child.lines)) == WORKERS)
    yield child
    child.kill()
    del stack.sites[child]


@pytest.fixture
def finished(user: TelegramUser, stack: LocalStack) -> Prediction:
    """A prediction with an apology to send."""
    prediction_id, message_id = uuid4().hex, user.send_text("hello")
    user.wait_for_reply(message_id)
    prediction = Prediction(prediction_id, user.chat_id, message_id, f"photos/{prediction_id}")
    assert predictions.create(prediction).granted
    outcome = predictions.fail(prediction_id, reasons.of("The image is damaged.")).prediction
    assert outcome is not None
    return outcome


@pytest.fixture
def call(stack: LocalStack, site: Child, finished: Prediction, user: TelegramUser) -> Iterator[Callable[[float], int]]:
    """Return a function that makes the site deliver, as the worker does, while Telegram is slow."""
    control = TelegramControl(stack.telegram_url)
    control.fault("sendMessage", "delay", chat_id=user.chat_id, seconds=SLOW_SECONDS)

    def call(patience_seconds: float) -> int:
        headers = {callback.SIGNATURE_HEADER: callback.sign(finished.prediction_id)}
        url = f"{stack.sites[site]}/results?predictionId={finished.prediction_id}"
        return httpx.get(url, headers=headers, timeout=patience_seconds).status_code

    yield call
    control.clear_faults()


def answers(url: str) -> bool:
    """Return whether a site is up."""
    try:
        return httpx.get(f"{url}/healthz").is_success
    except httpx.TransportError:
        return False


def being_sent(prediction: Prediction) -> bool:
    """Return whether the answer is being sent."""
    found = predictions.find(prediction.prediction_id)
    return found is not None and found.delivery is Delivery.DELIVERING


@pytest.mark.slow
def test_send_survives_hung_up_caller_and_sigterm(
    site: Child, call: Callable[[float], int], finished: Prediction, user: TelegramUser
) -> None:
    with pytest.raises(httpx.ReadTimeout):
        call(1)
    assert being_sent(finished)
    site.terminate()
    assert site.wait() == 0
    found = predictions.find(finished.prediction_id)
    assert found is not None
    assert found.delivery is Delivery.DELIVERED
    assert [message.text for message in user.messages() if message.from_bot][1:] == ["The image is damaged."]


@pytest.mark.slow
def test_only_requests_in_flight_are_answered(
    site: Child, call: Callable[[float], int], finished: Prediction, stack: LocalStack
) -> None:
    with ThreadPoolExecutor(1) as pool:
        status = pool.submit(call, 60)
        wait_until(lambda: being_sent(finished))
        site.terminate()
        wait_until(lambda: not answers(stack.sites[site]))
        assert status.result() == 200
    assert site.wait() == 0


def test_idle_connections_do_not_delay_exit(site: Child, stack: LocalStack) -> None:
    with httpx.Client() as idle:
        idle.get(f"{stack.sites[site]}/healthz")
        site.terminate()
        # Shorter than gunicorn itself would wait for the connection.
        assert site.process.wait(40) == 0
