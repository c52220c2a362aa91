"""The webhook is registered once, with the certificate if it is self-signed."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings

from botsite.bot.telegram.errors import TelegramError
from deploy.certificates import self_signed
from deploy.certificates.self_signed import Pair
from deploy.local.telegram.client import TelegramControl, TelegramUser
from deploy.webhook import bot_api, registration
from deploy.webhook.registration import Registered
from tests.support.emulators import TOKEN
from tests.support.processes import free_port, wait_until
from tests.support.recording_site import SECRET, Site

URL = "https://bot.example.com/telegram/webhook"
KINDS = ["callback_query", "edited_message", "guest_message", "message"]


def register(url: str = URL, token: str = TOKEN, secret: str = SECRET, **more: Any) -> Registered:
    """Register the webhook, with some arguments changed."""
    return registration.register(url, token, secret, **more)


def sent(control: TelegramControl) -> int:
    """Return how often setWebhook was called."""
    return len(control.calls("setWebhook"))


@pytest.fixture(scope="module")
def pair() -> Pair:
    """A self-signed certificate of this machine."""
    return self_signed.make("localhost", datetime.now(UTC))


# ------------------------------------------------------------------------------------------------ once


def test_webhook_is_registered_for_needed_updates(control: TelegramControl) -> None:
    done = register()
    info = control.webhook()
    assert (info["url"], sorted(info["allowed_updates"]), info["max_connections"]) == (URL, KINDS, 40)
    assert info["has_custom_certificate"] is False
    assert done.changes[0] == f"address: none -> {URL}"


def test_webhook_is_not_sent_again_unless_asked(control: TelegramControl) -> None:
    register()
    again = register()
    assert (again.changes, again.sent, sent(control)) == ([], False, 1)
    assert register(again=True).sent
    assert sent(control) == 2


def test_new_address_keeps_pending_updates(control: TelegramControl, server: str) -> None:
    register(f"http://127.0.0.1:{free_port()}/")
    TelegramUser(server, 7).send_text("hello")
    done = register()
    assert done.changes == [f"address: {done.changes[0].split()[1]} -> {URL}"]
    assert done.info.pending_update_count == 1


def test_secret_is_sent_again_after_refused_delivery(control: TelegramControl, server: str) -> None:
    with Site(status=403).open() as site:
        register(site.url)
        TelegramUser(server, 8).send_text("hello")
        wait_until(lambda: "403" in control.webhook().get("last_error_message", ""))
        assert register(site.url).sent


# -------------------------------------------------------------------------------------- with a certificate


def test_updates_reach_site_with_self_signed_certificate(control: TelegramControl, server: str, pair: Pair) -> None:
    with Site(pair).open() as site:
        done = register(site.url, certificate=pair.certificate)
        assert done.info.has_custom_certificate
        TelegramUser(server, 9).send_text("hello")
        wait_until(lambda: site.received)
        assert site.received == [(SECRET, "hello")]


def test_waiting_updates_arrive_once_certificate_is_sent(control: TelegramControl, server: str, pair: Pair) -> None:
    with Site(pair).open() as site:
        register(site.url)
        TelegramUser(server, 10).send_text("early")
        wait_until(lambda: "SSL error" in control.webhook().get("last_error_message", ""))
        assert site.received == []
        done = register(site.url, certificate=pair.certificate)
        assert done.changes == ["self-signed certificate: no -> yes"]
        wait_until(lambda: site.received == [(SECRET, "early")])


def test_renewed_certificate_is_sent_to_telegram(control: TelegramControl, server: str, pair: Pair) -> None:
    old = self_signed.make("localhost", datetime.now(UTC))
    with Site(pair).open() as site:
        register(site.url, certificate=old.certificate)
        done = register(site.url, certificate=pair.certificate)
        assert (done.changes, done.sent) == ([], True)
        TelegramUser(server, 11).send_text("hello")
        wait_until(lambda: site.received)


# --------------------------------------------------------------------------------------------- what is wrong


def test_wrong_token_is_not_shown(control: TelegramControl) -> None:
    with pytest.raises(TelegramError, match=r"doesn't know this bot token\. Take it from @BotFather") as caught:
        register(token="123456:another-token")
    assert "another-token" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"token": "nonsense"}, "This isn't a bot token"),
        ({"secret": ""}, "The webhook's secret must be"),
        ({"secret": "a.b"}, "The webhook's secret must be"),
        ({"url": "bot.example.com"}, "can't be a webhook"),
        ({"url": "https://"}, "Telegram refuses: bad webhook: an HTTPS URL must be provided"),
        ({"certificate": b"nonsense"}, "Telegram refuses: bad webhook: failed to set custom certificate"),
    ],
)
def test_invalid_webhook_is_rejected(control: TelegramControl, wrong: Any, reason: str) -> None:
    with pytest.raises(TelegramError, match=f"(?i){reason}"):
        register(**wrong)
    assert control.webhook()["url"] == ""


def test_retry_after_is_obeyed(control: TelegramControl) -> None:
    control.fault("setWebhook", "too_many_requests", retry_after=1)
    assert register().info.url == URL


def test_busy_telegram_is_not_asked_forever(control: TelegramControl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot_api, "_TRIES", 1)
    control.fault("getWebhookInfo", "too_many_requests", retry_after=30, times=None)
    with pytest.raises(TelegramError, match="Telegram is busy"):
        register()


def test_unreachable_telegram_is_named(control: TelegramControl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "TELEGRAM_API_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TelegramError, match=r"http://127\.0\.0\.1:\d+ doesn't answer: .*Try again"):
        register()
