"""The worker's call of `/results` is a nudge: retried for a while, never in the way, and no failure fails the job."""

import subprocess
import sys
import threading
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest

from deploy.local.processes import PATIENCE_SECONDS
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramControl, TelegramUser
from detection.record import predictions
from detection.work import callback
from tests.support import finished
from tests.support.processes import wait_until

ROOT = Path(__file__).resolve().parents[2]
_chat_ids = count(7_300_000)
_LENGTH_OF_IDS = 32


@dataclass
class Site:
    """A stand-in for the site that answers with the given statuses, then 200."""

    statuses: list[int]
    asked: list[str] = field(default_factory=list)
    signed: list[bool] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)
    headers: dict[str, str] = field(default_factory=dict)
    url: str = ""

    def answer(self, path: str, signature: str) -> int:
        prediction_id = path.partition("=")[2]
        if len(prediction_id) == _LENGTH_OF_IDS:
            return 404  # A photo of another test, whose call waited until now.
        self.asked.append(prediction_id)
        self.signed.append(callback.verify(prediction_id, signature))
        status = self.statuses.pop(0) if self.statuses else 200
        if status < 500:
            self.done.set()
        return status


@pytest.fixture
def site(request: pytest.FixtureRequest, stack: LocalStack) -> Iterator[Site]:
    site = Site(list(request.param))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(site.answer(self.path, self.headers[callback.SIGNATURE_HEADER]))
            self.send_header("Content-Length", "0")
            for header in site.headers.items():
                self.send_header(*header)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing: the test looks at what was asked."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    yield site
    server.shutdown()
    server.server_close()


def _notify(url: str, stack: LocalStack) -> None:
    """Call back from a process of its own, as a worker that stops right after its last job."""
    calls = "from detection.work import callback; callback.notify('p1', 1); callback.drain(10)"
    env = stack.env | {"POLYBOT_URL": url, "DJANGO_SETTINGS_MODULE": "botsite.settings"}
    subprocess.run(
        [sys.executable, "-c", f"import django; django.setup(); {calls}"],
        cwd=ROOT,
        env=env,
        check=True,
        timeout=PATIENCE_SECONDS,
    )


@pytest.mark.parametrize("site", [[]], indirect=True)
def test_stopping_worker_still_makes_signed_calls(site: Site, stack: LocalStack) -> None:
    _notify(site.url, stack)
    assert (site.asked, site.signed) == (["p1"], [True])


@pytest.mark.parametrize("site", [[503, 500]], indirect=True)
def test_5xx_is_called_again(site: Site, stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.conf.settings.POLYBOT_URL", site.url)
    callback.notify("p2", 1)
    assert site.done.wait(PATIENCE_SECONDS)
    assert site.asked == ["p2"] * 3


@pytest.mark.parametrize("site", [[404], [403], [409]], indirect=True)
def test_refusal_is_not_called_again(site: Site, stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.conf.settings.POLYBOT_URL", site.url)
    # Of its own for each status: a call that is still being finished would make a second one for the same id needless.
    identity = f"refused-{site.statuses[0]}"
    callback.notify(identity, 1)
    assert site.done.wait(PATIENCE_SECONDS)
    assert site.asked == [identity]


@pytest.mark.parametrize("site", [[503] * callback._TRIES], indirect=True)
def test_chat_at_its_limit_is_not_a_failure(site: Site, stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.conf.settings.POLYBOT_URL", site.url)
    monkeypatch.setattr(callback, "_FIRST_RETRY_SECONDS", 0.01)
    site.headers[callback.BUSY_HEADER] = "1"
    callback.notify("p4", 1)
    assert site.done.wait(30)
    assert len(site.asked) == callback._TRIES + 1


@pytest.mark.slow
def test_photo_is_answered_after_temporary_refusals(stack: LocalStack, user: TelegramUser, photo: bytes) -> None:
    control = TelegramControl(stack.telegram_url)
    rule = control.fault("sendPhoto", "server_error", chat_id=user.chat_id, times=3)
    assert user.wait_for_reply(user.send_photo(photo)).photo
    assert control.faults_fired(rule) == 3


@pytest.mark.slow
@pytest.mark.parametrize("sign", [1, -1], ids=["private", "groups"])
def test_strangers_are_told_while_busy_chats_wait(stack: LocalStack, photo: bytes, sign: int) -> None:
    """Given finished photos, nine chats' many before a few strangers' one each."""
    busy, strangers = [sign * next(_chat_ids) for _ in range(9)], [next(_chat_ids) for _ in range(6)]
    asked = {chat: TelegramUser(stack.telegram_url, chat, abs(chat)).send_text("hello") for chat in busy + strangers}
    photos = [finished.store(chat, asked[chat], photo) for chat in busy * 10 + strangers]
    for each in photos:
        callback.notify(each.prediction_id, each.chat_id)
    wait_until(lambda: set(strangers) <= set(_told(stack, asked)))
    assert len([chat for chat in _told(stack, asked) if chat in busy]) < len(busy) * 10 / 2
    for each in photos:
        predictions.delete(each.prediction_id)


def _told(stack: LocalStack, chats: Container[int | None]) -> list[int | None]:
    """Return the chats that were sent a photo, a chat for each."""
    calls = TelegramControl(stack.telegram_url).calls("sendPhoto")
    return [call.chat_id for call in calls if call.status == 200 and call.chat_id in chats]
