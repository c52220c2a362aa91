"""`set_webhook` takes address, certificate and secrets from the stack, and says what changed."""

import io
import json
from collections.abc import Iterator
from contextlib import suppress

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from botsite import aws, language
from botsite.bot.words import replies
from deploy.certificates import acm
from deploy.local.telegram.client import TelegramControl, TelegramUser
from deploy.service import Service
from deploy.webhook import bot_api
from tests.support import emulators
from tests.support.emulators import TOKEN
from tests.support.processes import free_port, wait_until
from tests.support.recording_site import SECRET

URL = "https://bot.example.com/telegram/webhook"


@pytest.fixture(scope="module")
def emulated() -> Iterator[str]:
    """An emulated AWS for this module."""
    with emulators.ministack() as url:
        yield url


def deploy_web(prefix: str, certificate_arn: str, languages: str = "") -> None:
    """Deploy a stack with what `set_webhook` reads: the webhook's host and the certificate."""
    template = {
        "Parameters": {"CertificateArn": {"Type": "String"}, "BotLanguages": {"Type": "String"}},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {
            "WebhookHost": {"Value": "localhost"},
            "TokenSecretName": {"Value": f"{prefix}/telegram-token"},
            "ServiceSecrets": {"Value": f"{prefix}/webhook-secret"},
        },
    }
    values = {"CertificateArn": certificate_arn, "BotLanguages": languages}
    aws.client("cloudformation").create_stack(
        StackName=f"{prefix}-web",
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()],
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


def test_languages_come_from_stack(control: TelegramControl, emulated: str) -> None:
    run("--url", URL)
    deploy_web("spanish", acm.ensure_self_signed(Service("spanish"), "localhost"), "es")
    lines = run("--prefix", "spanish")
    assert {"Changed commands", "Changed description", "Changed commands in de"} <= set(lines)
    assert "Changed" not in "".join(run("--prefix", "spanish"))
    with language.speaking("es"):
        first = language.gettext(next(iter(replies.COMMANDS.values())))
    assert bot_api.ask(TOKEN, lambda bot: bot.get_my_commands)[0].description == first


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


def test_storage_chat_that_refuses_is_named(control: TelegramControl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "STORAGE_CHAT", 13)
    assert "guests" not in "".join(run("--url", URL))
    control.fault("sendMessage", "forbidden", chat_id=13)
    assert "can't write to the chat for guests' pictures" in run("--url", URL)[-1]


def test_missing_certificate_is_reported_with_advice(control: TelegramControl, emulated: str) -> None:
    deploy_web("bare", "")
    with pytest.raises(CommandError, match=r"bare-web has no certificate.*provision --prefix bare --self-signed"):
        run("--prefix", "bare")


def test_refused_token_is_command_error(control: TelegramControl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "TELEGRAM_TOKEN", "123456:another-token")
    with pytest.raises(CommandError, match="doesn't know this bot token"):
        run("--url", URL)


def test_remove_refuses_without_terminal(control: TelegramControl) -> None:
    run("--url", URL)
    with pytest.raises(CommandError, match=r"no terminal to ask on\. Updates go to bot\.example\.com; add --yes"):
        run("--remove")
    assert control.webhook()["url"] == URL


def test_remove_keeps_pending_updates(control: TelegramControl, server: str) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    run("--url", url)
    TelegramUser(server, 13).send_text("hello")
    lines = run("--remove", "--yes")
    assert lines[0] == f"updates go to {url}; 1 pending"
    assert lines[-1] == "The webhook is removed; Telegram keeps pending updates."
    assert (control.webhook()["url"], control.webhook()["pending_update_count"]) == ("", 1)
    assert run("--remove", "--yes") == ["The bot has no webhook."]


@pytest.mark.parametrize(("typed", "left"), [("n", URL), ("", URL), ("y", "")])
def test_remove_asks_on_terminal(
    control: TelegramControl, monkeypatch: pytest.MonkeyPatch, typed: str, left: str
) -> None:
    run("--url", URL)
    monkeypatch.setattr("sys.stdin", Terminal(f"{typed}\n"))
    with suppress(CommandError):
        run("--remove")
    assert control.webhook()["url"] == left


class Terminal(io.StringIO):
    """A terminal at which somebody has typed."""

    def isatty(self) -> bool:
        """Return that it is one."""
        return True
