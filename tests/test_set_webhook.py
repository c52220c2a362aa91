"""`set_webhook`: the webhook is registered once, with the certificate if it is self-signed."""

import io
import json
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from botsite import aws
from botsite.bot import bot_token
from botsite.bot.errors import TelegramError
from deploy.certificates import acm, self_signed
from deploy.certificates.self_signed import Pair
from deploy.local.telegram.client import TelegramControl, TelegramUser
from deploy.service import Service
from deploy.webhook import bot_api, registration
from deploy.webhook.registration import Registered
from tests.support import emulators
from tests.support.processes import free_port, wait_until

TOKEN = "123456:not-a-real-token"
SECRET = "webhook-secret"
URL = "https://bot.example.com/telegram/webhook"
KINDS = ["callback_query", "message"]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a fake Telegram for this module."""
    with emulators.telegram(TOKEN) as url:
        yield url


@pytest.fixture
def control(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TelegramControl]:
    """A Telegram without a webhook, and settings that point to it."""
    monkeypatch.setattr(settings, "TELEGRAM_API_URL", server)
    monkeypatch.setattr(settings, "TELEGRAM_TOKEN", TOKEN)
    monkeypatch.setattr(settings, "TELEGRAM_WEBHOOK_SECRET", SECRET)
    bot_token.current.cache_clear()
    yield TelegramControl(server)
    bot_token.current.cache_clear()
    TelegramControl(server).reset(setup=True)


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


class Site:
    """A real webhook, with TLS if it has a certificate, that records the secret and text of each update."""

    def __init__(self, pair: Pair | None = None, status: int = 200) -> None:
        self.received: list[tuple[str | None, str]] = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                received.append((self.headers["X-Telegram-Bot-Api-Secret-Token"], body["message"]["text"]))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if pair:
            # Handshakes in the request's thread, so that a failed one affects only its connection.
            self._server.socket = _tls(pair).wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"{'https' if pair else 'http'}://localhost:{self._server.server_port}/telegram/webhook"

    @contextmanager
    def open(self) -> Iterator["Site"]:
        """Serve for the length of a `with` block."""
        with self._server:
            threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            yield self
            self._server.shutdown()


def _tls(pair: Pair) -> ssl.SSLContext:
    """Return TLS with a certificate; Python only reads keys from files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pair.certificate + pair.key)
        file.flush()
        context.load_cert_chain(file.name)
    return context


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


# ---------------------------------------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def emulated() -> Iterator[str]:
    """An emulated AWS for this module."""
    with emulators.ministack() as url:
        yield url


def deploy_web(prefix: str, certificate_arn: str) -> None:
    """Deploy a stack with what `set_webhook` reads: the webhook's host and the certificate."""
    template = {
        "Parameters": {"CertificateArn": {"Type": "String"}},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {
            "WebhookHost": {"Value": "localhost"},
            "TokenSecretName": {"Value": f"{prefix}/telegram-token"},
            "ServiceSecrets": {"Value": f"{prefix}/webhook-secret"},
        },
    }
    aws.client("cloudformation").create_stack(
        StackName=f"{prefix}-web",
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": "CertificateArn", "ParameterValue": certificate_arn}],
    )


def run(*arguments: str) -> list[str]:
    """Run the command and return the lines it printed."""
    output = io.StringIO()
    call_command("set_webhook", *arguments, stdout=output)
    return output.getvalue().splitlines()


def test_command_takes_address_and_certificate_from_stack(control: TelegramControl, emulated: str) -> None:
    deploy_web("own", acm.ensure_self_signed(Service("own"), "localhost"))
    lines = run("--prefix", "own")
    url = "https://localhost/telegram/webhook"
    assert f"Changed address: none -> {url}" in lines
    assert lines[-2:] == [
        "The webhook was sent to Telegram.",
        f"updates go to {url}, with a self-signed certificate; 0 pending",
    ]


def test_command_falls_back_to_secrets_of_stack(
    control: TelegramControl, emulated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("telegram-token", TOKEN), ("webhook-secret", json.dumps({"TELEGRAM_WEBHOOK_SECRET": SECRET}))):
        aws.client("secretsmanager").create_secret(Name=f"kept/{name}", SecretString=text)
    for name in ("TELEGRAM_TOKEN", "TELEGRAM_WEBHOOK_SECRET"):
        monkeypatch.setattr(settings, name, "")
    deploy_web("kept", acm.ensure_self_signed(Service("kept"), "localhost"))
    assert "The webhook was sent to Telegram." in run("--prefix", "kept")


def test_command_reports_unchanged_webhook(control: TelegramControl) -> None:
    run("--url", URL)
    assert run("--url", URL)[0] == "Telegram already has the webhook."


def test_command_shows_last_failed_delivery(control: TelegramControl, server: str) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    run("--url", url)
    TelegramUser(server, 12).send_text("hello")
    wait_until(lambda: "last_error_message" in control.webhook())
    lines = run("--url", url)
    assert lines[1] == f"updates go to {url}; 1 pending"
    assert lines[2].startswith("the last failed delivery, ")
    assert lines[2].endswith(" s ago: Connection refused")


def test_missing_certificate_is_reported_with_advice(control: TelegramControl, emulated: str) -> None:
    deploy_web("bare", "")
    with pytest.raises(CommandError, match=r"bare-web has no certificate.*provision --prefix bare --self-signed"):
        run("--prefix", "bare")


def test_refused_token_is_command_error(control: TelegramControl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "TELEGRAM_TOKEN", "123456:another-token")
    with pytest.raises(CommandError, match="doesn't know this bot token"):
        run("--url", URL)
