"""The most telling faults of `python -m tests.chaos`: what was sent is recorded, what is owed is not forgotten."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from botsite.bot.telegram import api
from botsite.bot.telegram.errors import TelegramError
from deploy.local.stack import LocalStack, script
from deploy.local.telegram.client import TelegramControl, TelegramUser
from detection.record import predictions, reasons
from detection.record.schemas import Delivery, Prediction
from detection.work import callback
from tests.chaos import faults
from tests.support.cases import slow_after
from tests.support.faulty import FaultySite
from tests.support.processes import PATIENCE_SECONDS, wait_until

# More than the three attempts that botocore makes of a call.
_TIMES = 4
_CLAIM = faults.AWS["dynamodb: claim delivery (site)"]
_FINISH = faults.AWS["dynamodb: finish delivery (site)"]


def _deliver(site: FaultySite, prediction: Prediction) -> int:
    """Ask for a delivery as a worker does; return the status."""
    identity = prediction.prediction_id
    headers = {callback.SIGNATURE_HEADER: callback.sign(identity)}
    return httpx.get(
        f"{site.url}/results?predictionId={identity}", headers=headers, timeout=PATIENCE_SECONDS
    ).status_code


@contextmanager
def _asked_to_deliver(site: FaultySite, prediction: Prediction) -> Iterator[None]:
    """Ask for a delivery, and hang up when the block is left."""
    identity, url = prediction.prediction_id, urlsplit(site.url)
    lines = [f"GET /results?predictionId={identity} HTTP/1.1", f"Host: {url.netloc}"]
    lines += [f"{callback.SIGNATURE_HEADER}: {callback.sign(identity)}", "", ""]
    with socket.create_connection((url.hostname or "", url.port or 0)) as connection:
        connection.sendall("\r\n".join(lines).encode())
        yield


@pytest.fixture
def control(stack: LocalStack) -> TelegramControl:
    return TelegramControl(stack.telegram_url)


@pytest.fixture
def owed(user: TelegramUser) -> Prediction:
    """Return a prediction that has failed, so that its sender is owed a sentence."""
    prediction = Prediction(uuid4().hex, user.chat_id, 1, "photos/none")
    predictions.create(prediction)
    predictions.fail(prediction.prediction_id, reasons.of("sorry"))
    return prediction


@pytest.fixture
def answers(user: TelegramUser) -> Callable[[], list[str | None]]:
    """Return a function that tells what the user was sent."""
    return lambda: [message.text for message in user.messages()]


def _delivery(prediction: Prediction) -> Delivery | None:
    found = predictions.find(prediction.prediction_id)
    return found.delivery if found else None


def test_answer_is_recorded_after_caller_hangs_up(
    site: FaultySite, owed: Prediction, control: TelegramControl, answers: Callable[[], list[str | None]]
) -> None:
    control.fault("sendMessage", "delay", chat_id=owed.chat_id, seconds=2)
    with _asked_to_deliver(site, owed):
        wait_until(lambda: _delivery(owed) is Delivery.DELIVERING)
    wait_until(lambda: _delivery(owed) is Delivery.DELIVERED)
    assert answers() == ["sorry"]


def test_lease_survives_lost_reply(site: FaultySite, owed: Prediction, answers: Callable[[], list[str | None]]) -> None:
    site.break_({**_CLAIM, **faults.AFTER["reply lost"], "times": 1})
    assert _deliver(site, owed) == 200
    assert answers() == ["sorry"]


@pytest.mark.parametrize("fault", slow_after(1, ["throttled", "reply lost"]))
def test_sent_answer_is_recorded_despite_failures(
    site: FaultySite, owed: Prediction, answers: Callable[[], list[str | None]], fault: str
) -> None:
    site.break_({**_FINISH, **faults.FAULTS[fault], "times": _TIMES})
    assert _deliver(site, owed) == 200
    assert _delivery(owed) is Delivery.DELIVERED
    assert answers() == ["sorry"]


def test_refused_send_releases_lease_despite_failures(
    site: FaultySite, owed: Prediction, control: TelegramControl, answers: Callable[[], list[str | None]]
) -> None:
    control.fault("sendMessage", "server_error", chat_id=owed.chat_id)
    site.break_({**faults.RELEASE, **faults.FAULTS["500"], "times": _TIMES})
    assert [_deliver(site, owed), _deliver(site, owed)] == [503, 200]
    assert answers() == ["sorry"]


def test_nothing_is_sent_after_lease_may_have_expired(
    stack: LocalStack, user: TelegramUser, answers: Callable[[], list[str | None]]
) -> None:
    with pytest.raises(TelegramError, match="too late") as raised:
        asyncio.run(api.send_text(user.chat_id, "late", before=time.monotonic() - 1))
    assert not raised.value.permanent
    assert answers() == []


@pytest.mark.slow
def test_metric_role_ends_with_its_beat(stack: LocalStack, tmp_path: Path) -> None:
    command = [
        script("celery"),
        "-A",
        "botsite",
        "worker",
        "-B",
        "-Q",
        "metrics",
        "-I",
        "tests.support.worker_tasks",
        "-n",
        "b",
    ]
    child = stack.children.start("beatless", command, stack.env | {"LIVENESS_FILE": str(tmp_path / "alive")})
    child.wait_ready(lambda: child.said(" ready."))
    pid = child.process.pid
    # Its only child process is beat: the pool is of threads.
    [beat] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    os.kill(int(beat), signal.SIGKILL)
    assert child.wait(PATIENCE_SECONDS) == 1
    assert child.said("beat has ended")
