"""The most telling faults of `python -m tests.chaos`: what was sent is recorded, what is owed is not forgotten."""

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from botsite import telegram
from deploy.local.processes import free_port, listening
from deploy.local.stack import LocalStack, script
from deploy.local.telegram.client import TelegramControl, TelegramUser
from detection import callback, predictions
from detection.schemas import Delivery, Prediction

from .chaos import faults
from .processes import wait_until

# More than the three attempts that botocore makes of a call.
_TIMES = 4
_CLAIM = faults.AWS["dynamodb: claim delivery (site)"]
_FINISH = faults.AWS["dynamodb: finish delivery (site)"]


class Site:
    """A site whose calls of AWS pass through microburst."""

    def __init__(self, url: str, proxy: str) -> None:
        self._url, self._proxy = url, proxy

    def break_(self, *rules: dict[str, Any]) -> None:
        """Let calls fail as often as each rule says."""
        httpx.post(f"{self._proxy}/_microburst/rules", json=rules).raise_for_status()

    def deliver(self, prediction: Prediction) -> int:
        """Ask for a delivery as a worker does; return the status."""
        identity = prediction.prediction_id
        headers = {callback.SIGNATURE_HEADER: callback.sign(identity)}
        return httpx.get(f"{self._url}/results?predictionId={identity}", headers=headers, timeout=60).status_code

    @contextmanager
    def asked_to_deliver(self, prediction: Prediction) -> Iterator[None]:
        """Ask for a delivery, and hang up when the block is left."""
        identity, url = prediction.prediction_id, urlsplit(self._url)
        lines = [f"GET /results?predictionId={identity} HTTP/1.1", f"Host: {url.netloc}"]
        lines += [f"{callback.SIGNATURE_HEADER}: {callback.sign(identity)}", "", ""]
        with socket.create_connection((url.hostname or "", url.port or 0)) as connection:
            connection.sendall("\r\n".join(lines).encode())
            yield


@pytest.fixture(scope="module")
def site(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run one more site, with microburst between it and AWS."""
    proxy_port, site_port = free_port(), free_port()
    config: Path = tmp_path_factory.mktemp("microburst") / "chaos.yml"
    # JSON is YAML too.
    config.write_text(json.dumps({"upstream": stack.endpoint, "port": proxy_port, "rules": []}))
    proxy = stack.children.start("microburst", [script("microburst"), "--config", str(config)], stack.env)
    proxy.wait_ready(lambda: listening("127.0.0.1", proxy_port))
    child = stack.start_site("127.0.0.1", site_port, AWS_ENDPOINT_URL=f"http://127.0.0.1:{proxy_port}")
    child.wait_ready(lambda: listening("127.0.0.1", site_port))
    yield Site(stack.sites.pop(child), f"http://127.0.0.1:{proxy_port}")
    for process in (child, proxy):
        process.terminate()
        process.wait()


@pytest.fixture
def control(stack: LocalStack) -> TelegramControl:
    return TelegramControl(stack.telegram_url)


@pytest.fixture
def owed(user: TelegramUser) -> Prediction:
    """Return a prediction that has failed, so that its sender is owed a sentence."""
    prediction = Prediction(uuid4().hex, user.chat_id, 1, "photos/none")
    predictions.create(prediction)
    predictions.fail(prediction.prediction_id, "sorry")
    return prediction


@pytest.fixture
def answers(user: TelegramUser) -> Callable[[], list[str | None]]:
    """Return a function that tells what the user was sent."""
    return lambda: [message.text for message in user.messages()]


def _delivery(prediction: Prediction) -> Delivery | None:
    found = predictions.find(prediction.prediction_id)
    return found.delivery if found else None


def test_an_answer_whose_caller_hangs_up_is_recorded(
    site: Site, owed: Prediction, control: TelegramControl, answers: Callable[[], list[str | None]]
) -> None:
    control.fault("sendMessage", "delay", chat_id=owed.chat_id, seconds=2)
    with site.asked_to_deliver(owed):
        wait_until(lambda: _delivery(owed) is Delivery.DELIVERING, 30)
    wait_until(lambda: _delivery(owed) is Delivery.DELIVERED, 30)
    assert answers() == ["sorry"]


def test_a_lease_whose_grant_was_lost_is_found_again_at_once(
    site: Site, owed: Prediction, answers: Callable[[], list[str | None]]
) -> None:
    site.break_({**_CLAIM, **faults.AFTER["reply lost"], "times": 1})
    assert site.deliver(owed) == 200
    assert answers() == ["sorry"]


@pytest.mark.parametrize("fault", ["throttled", "reply lost"])
def test_what_was_sent_is_recorded_however_often_that_fails(
    site: Site, owed: Prediction, answers: Callable[[], list[str | None]], fault: str
) -> None:
    site.break_({**_FINISH, **faults.FAULTS[fault], "times": _TIMES})
    assert site.deliver(owed) == 200
    assert _delivery(owed) is Delivery.DELIVERED
    assert answers() == ["sorry"]


def test_a_refused_send_is_tried_again_at_once_though_the_lease_was_hard_to_give_back(
    site: Site, owed: Prediction, control: TelegramControl, answers: Callable[[], list[str | None]]
) -> None:
    control.fault("sendMessage", "server_error", chat_id=owed.chat_id)
    site.break_({**faults.RELEASE, **faults.FAULTS["500"], "times": _TIMES})
    assert [site.deliver(owed), site.deliver(owed)] == [503, 200]
    assert answers() == ["sorry"]


def test_nothing_is_sent_when_the_lease_may_have_run_out(
    stack: LocalStack, user: TelegramUser, answers: Callable[[], list[str | None]]
) -> None:
    with pytest.raises(telegram.TelegramError, match="too late") as raised:
        asyncio.run(telegram.send_text(user.chat_id, "late", before=time.monotonic() - 1))
    assert not raised.value.permanent
    assert answers() == []


def test_a_metric_role_whose_beat_has_ended_ends_too(stack: LocalStack, tmp_path: Path) -> None:
    command = [
        script("celery"),
        "-A",
        "botsite",
        "worker",
        "-B",
        "-Q",
        "metrics",
        "-I",
        "tests.worker_tasks",
        "-n",
        "b",
    ]
    child = stack.children.start("beatless", command, stack.env | {"LIVENESS_FILE": str(tmp_path / "alive")})
    child.wait_ready(lambda: child.said(" ready."))
    pid = child.process.pid
    # Its only child process is beat: the pool is of threads.
    [beat] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    os.kill(int(beat), signal.SIGKILL)
    assert child.wait(30) == 1
    assert child.said("beat has ended")
