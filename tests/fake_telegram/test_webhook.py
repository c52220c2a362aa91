"""Updates reach the webhook in Telegram's order and with its retries."""

from __future__ import annotations

import itertools
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from telegram.error import BadRequest

from deploy.local.processes import PATIENCE_SECONDS
from tests.fake_telegram.hook import Webhook
from tests.fake_telegram.service import CHAT, SECRET, TIME_SCALE, Fake, keyboard

pytestmark = pytest.mark.slow

CERTIFICATE = b"""-----BEGIN CERTIFICATE-----
MIIBljCCATugAwIBAgIUTm9GOW9ZeEI81wTcw5e+rDYPM+MwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDA4MzQyMFoYDzIxMjYxMDMx
MDgzNDIwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATHJ26shYPPIVGkjP1eifD8hx8Wu194mfBvtwxKR6JoRDQSdoW8hE3S
g9pINj8z+HLEWh+uRUQ7FJvqdjYBUqjRo2kwZzAdBgNVHQ4EFgQU2++tSrckMlJF
x9RMpqwvK/Q/zAQwHwYDVR0jBBgwFoAU2++tSrckMlJFx9RMpqwvK/Q/zAQwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SQAwRgIhAMkujoCh8Q5Atkj2dsliAtJgs3c6cCqsda1E3rhC3ZAoAiEA9OLLM329
yfgiwGc5kMnrX6lpD814BAhdC/AYqfmRvik=
-----END CERTIFICATE-----
"""


@pytest.mark.smoke
def test_updates_carry_the_secret_and_leave_on_2xx(telegram: Fake, webhook: Webhook) -> None:
    telegram.user().send_text("hello")
    assert webhook.texts(1) == ["hello"]
    assert webhook.received[0][1] == SECRET
    telegram.control.wait_until_delivered()
    info = telegram.bot(lambda bot: bot.get_webhook_info())
    assert (info.url, info.pending_update_count, info.last_error_message) == (webhook.url, 0, None)


def test_failing_update_delays_only_its_chat(telegram: Fake, webhook: Webhook) -> None:
    webhook.answer_chat = {CHAT: 503}
    telegram.user().send_text("first")
    telegram.user().send_text("second")
    assert webhook.texts(5) == ["first"] * 5
    tries = [moment for moment, _, _ in webhook.received]
    telegram.user(9).send_text("another chat")
    webhook.wait_for_text("another chat")
    assert "second" not in webhook.texts(6)
    webhook.answer_chat = {}
    webhook.wait_for_text("second")
    gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert all(gap >= seconds * TIME_SCALE for gap, seconds in zip(gaps, (0, 2, 4, 8), strict=True)), gaps


def test_last_error_is_in_webhook_info(telegram: Fake, webhook: Webhook) -> None:
    webhook.answer(500)
    telegram.user().send_text("hello")
    telegram.control.wait_until_delivered()
    info = telegram.bot(lambda bot: bot.get_webhook_info())
    assert info.last_error_message == "Wrong response from the webhook: 500 Internal Server Error"
    assert info.last_error_date


@pytest.mark.parametrize("status", [301, 404, 403, 500])
def test_everything_but_2xx_is_retried(telegram: Fake, webhook: Webhook, status: int) -> None:
    webhook.answer(status, Location="/elsewhere")
    telegram.user().send_text("hello")
    assert webhook.texts(2) == ["hello", "hello"]
    telegram.control.wait_until_delivered()
    assert telegram.control.updates(CHAT)[-1].statuses == (status, 200)


def test_retry_after_is_obeyed(telegram: Fake, webhook: Webhook) -> None:
    webhook.answer(503, Retry_After="20")
    telegram.user().send_text("hello")
    webhook.updates(2)
    assert webhook.received[1][0] - webhook.received[0][0] >= 20 * TIME_SCALE


def test_webhook_is_retried_until_it_is_back(telegram: Fake, webhook: Webhook) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as unused:
        closed = f"http://127.0.0.1:{unused.server_port}/"
    telegram.bot(lambda bot: bot.set_webhook(closed))
    telegram.user().send_text("hello")
    telegram.control.wait_for_calls("webhook", count=3)
    assert telegram.control.webhook()["last_error_message"] == "Connection refused"
    telegram.bot(lambda bot: bot.set_webhook(webhook.url))
    assert webhook.texts(1) == ["hello"]
    telegram.control.wait_until_delivered()
    assert set(telegram.control.updates(CHAT)[-1].statuses) == {0, 200}


def test_silent_webhook_times_out(telegram: Fake, webhook: Webhook) -> None:
    telegram.control.set(webhook_timeout_seconds=0.05)
    webhook.speaks.clear()
    telegram.user().send_text("hello")
    telegram.control.wait_for_calls("webhook")
    webhook.speaks.set()
    telegram.control.wait_until_delivered()
    assert telegram.control.webhook()["last_error_message"] == "Read timeout expired"


def test_update_is_dropped_after_a_day(telegram: Fake, webhook: Webhook) -> None:
    telegram.control.set(time_scale=1e-6)
    webhook.answer_chat = {CHAT: 500}
    telegram.user().send_text("too old")
    telegram.control.wait_until_delivered()
    (delivery,) = telegram.control.updates(CHAT)[-1:]
    assert delivery.settled
    assert set(delivery.statuses) == {500}


def test_press_can_overtake_failing_message(telegram: Fake, webhook: Webhook) -> None:
    sent = telegram.bot(lambda bot: bot.send_message(CHAT, "x", reply_markup=keyboard()))
    telegram.control.set(time_scale=10)
    webhook.answer(500, 500)
    telegram.user().send_text("stuck")
    webhook.updates(2)
    telegram.user().press(sent.message_id, "again")
    assert webhook.updates(3)[2].callback_query
    assert telegram.control.webhook()["pending_update_count"] == 1


def test_only_allowed_updates_are_created(telegram: Fake, webhook: Webhook) -> None:
    telegram.bot(lambda bot: bot.set_webhook(webhook.url, allowed_updates=["callback_query"]))
    telegram.bot(lambda bot: bot.set_webhook(webhook.url))
    sent = telegram.bot(lambda bot: bot.send_message(CHAT, "x", reply_markup=keyboard()))
    telegram.user().send_text("not wanted")
    telegram.user().press(sent.message_id, "again")
    assert webhook.updates(1)[0].callback_query
    assert telegram.control.webhook()["allowed_updates"] == ["callback_query"]


def test_pending_updates_survive_new_webhook_unless_dropped(telegram: Fake) -> None:
    telegram.user().send_text("kept")
    receiver = Webhook()
    telegram.bot(lambda bot: bot.set_webhook(receiver.url))
    assert receiver.texts(1) == ["kept"]
    telegram.bot(lambda bot: bot.delete_webhook())
    telegram.user().send_text("dropped")
    telegram.bot(lambda bot: bot.set_webhook(receiver.url, drop_pending_updates=True))
    telegram.user().send_text("new")
    assert receiver.texts(2) == ["kept", "new"]
    telegram.control.reset()
    receiver.close()


def test_certificate_must_be_uploaded_as_file(telegram: Fake) -> None:
    url = "https://localhost:8443/"
    telegram.api("setWebhook", json={"url": url, "certificate": CERTIFICATE.decode()})
    assert telegram.bot(lambda bot: bot.get_webhook_info()).has_custom_certificate is False
    telegram.bot(lambda bot: bot.set_webhook(url, certificate=CERTIFICATE))
    assert telegram.bot(lambda bot: bot.get_webhook_info()).has_custom_certificate is True
    with pytest.raises(BadRequest, match="failed to set custom certificate"):
        telegram.bot(lambda bot: bot.set_webhook(url, certificate=b"nonsense"))


def test_method_in_webhook_response_is_executed(telegram: Fake, webhook: Webhook) -> None:
    body = json.dumps({"method": "sendMessage", "chat_id": CHAT, "text": "from the answer"}).encode()
    webhook.answer(200, body=body)
    message_id = telegram.user().send_text("hello")
    assert telegram.user().wait_for(lambda message: message.message_id > message_id).text == "from the answer"


def test_update_comes_again_if_response_is_lost(telegram: Fake, webhook: Webhook) -> None:
    telegram.control.fault("webhook", "apply_then_drop")
    telegram.user().send_text("hello")
    first, second = webhook.updates(2)
    assert first.update_id == second.update_id
    telegram.control.wait_until_delivered()


def test_updates_can_be_duplicated_swapped_and_dropped(telegram: Fake, webhook: Webhook) -> None:
    telegram.control.fault("webhook", "duplicate")
    telegram.user().send_text("twice")
    assert webhook.texts(2) == ["twice", "twice"]
    telegram.control.wait_until_delivered()
    telegram.control.fault("webhook", "swap", chat_id=CHAT)
    telegram.user().send_text("late")
    telegram.user(9).send_text("early")
    assert webhook.texts(4)[2:] == ["early", "late"]
    telegram.control.wait_until_delivered()
    telegram.control.fault("webhook", "drop")
    telegram.user().send_text("once")
    assert webhook.texts(5)[4] == "once"
    telegram.control.wait_until_delivered()
    assert telegram.control.updates(CHAT)[-1].statuses == (0, 200)


def test_copies_of_update_can_be_delivered_at_once(telegram: Fake, webhook: Webhook) -> None:
    telegram.user().send_text("hello")
    (update,) = webhook.updates(1)
    telegram.control.wait_until_delivered()
    assert telegram.control.deliver_again(update.update_id, times=5) == [200] * 5
    assert {copy.update_id for copy in webhook.updates(6)} == {update.update_id}


@pytest.mark.parametrize("body", [b"[]", b'{"update_id": 1, "message": ', b"", b'{"update_id": 5, "message": {}}'])
def test_any_body_can_be_injected_as_update(telegram: Fake, webhook: Webhook, body: bytes) -> None:
    webhook.answer(400)
    delivery = telegram.control.inject(body, timeout_seconds=PATIENCE_SECONDS)
    assert (delivery.statuses, delivery.settled) == ((400, 200), True)
    assert [received for _, _, received in webhook.received] == [body, body]
