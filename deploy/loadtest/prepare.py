"""See that a load test can work before it sends anything, and give Telegram its photos."""

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress

import httpx
from botocore.exceptions import ClientError
from django.conf import settings

from botsite.bot import api
from botsite.bot.errors import TelegramError
from deploy import stacks
from deploy.certificates import acm
from deploy.loadtest.errors import LoadTestError
from deploy.loadtest.gauges import Gauges
from deploy.loadtest.sender import Sender
from detection import queries

NEEDS = ("PREDICTIONS_TABLE", "JOBS_QUEUE_URL", "RESULTS_KEY", "TELEGRAM_WEBHOOK_SECRET")
_HELP = 'Is it provisioned (`manage.py provision`), and its environment set (`eval "$(python manage.py stack_env)"`)?'
_UP = "Are the sites up (`/readyz`)?"
_WHY = {
    403: "TELEGRAM_WEBHOOK_SECRET is not the one that the sites have.",
    404: "The load balancer forwards it from Telegram's networks and from OperatorCidr alone: "
    "`manage.py provision --parameter OperatorCidr=<address of this machine>/32`.",
}
_NO_PREDICTION = "0" * 32


def check_settings() -> None:
    """Raise LoadTestError naming all that the environment lacks."""
    missing = [name for name in NEEDS if not getattr(settings, name)]
    if not (settings.TELEGRAM_TOKEN or settings.TELEGRAM_TOKEN_SECRET):
        missing.append("TELEGRAM_TOKEN_SECRET (or TELEGRAM_TOKEN)")
    if missing:
        raise LoadTestError(
            f"The environment names a stack and lacks {', '.join(missing)}: set them "
            '(`set -a; eval "$(python manage.py stack_env)"`), or give --local.'
        )


def check_table() -> None:
    """Raise LoadTestError if there is no table of predictions; botocore's errors if it cannot be read."""
    try:
        queries.find_many([_NO_PREDICTION])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        where = settings.AWS_ENDPOINT_URL or f"AWS in {settings.AWS_REGION}"
        raise LoadTestError(f"There is no table {settings.PREDICTIONS_TABLE} on {where}. {_HELP}") from error


def check_group(gauges: Gauges) -> None:
    """Raise LoadTestError if there is no Auto Scaling group to watch."""
    if reason := gauges.read().missing.get("group"):
        raise LoadTestError(f"--until-scaled-in has no group to watch. {reason}")


async def sender(prefix: str) -> Sender:
    """Return a sender to the address that Telegram has, once the webhook takes its secret. Raise LoadTestError."""
    try:
        info = await api.webhook()
    except TelegramError as error:
        raise LoadTestError(f"Telegram does not tell the webhook's address: {error}") from error
    if not info.url:
        raise LoadTestError("Telegram has no webhook for this bot: run `python manage.py set_webhook` first.")
    tls = await asyncio.to_thread(_certificate, prefix) if info.has_custom_certificate else True
    made = Sender(info.url, settings.TELEGRAM_WEBHOOK_SECRET, tls)
    try:
        await _probe(made)
    except LoadTestError:
        await made.client.aclose()
        raise
    return made


async def check_chats(chat_ids: Sequence[int]) -> None:
    """Raise LoadTestError for a chat that the bot cannot write to."""
    for chat_id in chat_ids:
        try:
            await api.show_activity(chat_id)
        except TelegramError as error:
            raise LoadTestError(
                f"The bot cannot write to chat {chat_id} ({error}): whoever it is has to press Start in the bot first."
            ) from error


def _certificate(prefix: str) -> ssl.SSLContext:
    """Return TLS that trusts the stack's own certificate, as Telegram does. Raise StackError if there is no stack."""
    arn = stacks.existing(prefix, "web").parameters.get("CertificateArn", "")
    if arn:
        with suppress(ssl.SSLError):
            return ssl.create_default_context(cadata=acm.pem(arn).decode())
    raise LoadTestError(
        f"Telegram has a certificate of our own for the webhook, and the stack {prefix}-web has none that can be used: "
        "is --prefix that of the stack which is tested?"
    )


async def _probe(made: Sender) -> None:
    try:
        status = await made.probe()
    except httpx.TransportError as error:
        raise LoadTestError(
            f"The webhook {made.url} does not answer: {error}. {_UP} For a self-signed certificate give --certificate."
        ) from error
    if not 200 <= status <= 299:
        raise LoadTestError(
            f"The webhook {made.url} answers {status} where it should answer 200. {_WHY.get(status, _UP)}"
        )
