"""Tell Telegram where the bot's updates go."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser
from telegram import WebhookInfo

from botsite import secret_store, telegram
from botsite.telegram import TelegramError
from deploy import certificates, self_signed, stacks, webhook
from deploy.management.base import StackCommand


class Command(StackCommand):
    """Register the webhook, once for a deployment; running it again changes nothing that is right."""

    help = (
        "Have Telegram send the bot's updates to the load balancer, with our certificate if it is self-signed. What "
        "waits to be delivered stays."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the address, and the wish to send it anew."""
        super().add_arguments(parser)
        parser.add_argument("--url", default="", help="the webhook's address; default: that of the stack")
        parser.add_argument(
            "--again",
            action="store_true",
            help="send it even if Telegram has it already: after a rotation of the secret, which it does not tell",
        )

    def run(self, **options: Any) -> None:
        """Register, and say what Telegram says of it."""
        try:
            target = _of_url(options["url"]) if options["url"] else _of_stack(options["prefix"])
            done = webhook.register(target.url, target.token, target.secret, target.certificate, options["again"])
        except TelegramError as error:
            raise CommandError(str(error)) from error
        console = self.console()
        for change in done.changes:
            console.print(f"Telegram had {change}.", markup=False)
        console.print("Sent to Telegram." if done.sent else "Telegram has it as it should be: nothing was sent.")
        for line in _state(done.info):
            console.print(line, markup=False)


@dataclass(frozen=True)
class _Target:
    """What to register, and by which secrets; the certificate is one that Telegram has to be given."""

    url: str
    token: str = field(repr=False)
    secret: str = field(repr=False)
    certificate: bytes | None = None


def _of_url(url: str) -> _Target:
    return _Target(url, telegram.token(), settings.TELEGRAM_WEBHOOK_SECRET)


def _of_stack(prefix: str) -> _Target:
    """Return the load balancer of a stack, and its secrets where the environment gives none."""
    web = stacks.existing(prefix, "web")
    arn = web.parameters.get("CertificateArn", "")
    if not arn:
        raise CommandError(
            f"{web.name} has no certificate, and Telegram calls by HTTPS alone. Give it one: "
            f"python manage.py provision --prefix {prefix} --self-signed (or --domain)"
        )
    certificate = certificates.pem(arn)
    return _Target(
        f"https://{web.outputs['WebhookHost']}{webhook.PATH}",
        settings.TELEGRAM_TOKEN or telegram.stored_token(web.outputs["TokenSecretName"]),
        settings.TELEGRAM_WEBHOOK_SECRET or _stored_secret(web.outputs["ServiceSecrets"]),
        certificate if self_signed.is_self_signed(certificate) else None,
    )


def _stored_secret(names: str) -> str:
    try:
        found = secret_store.read(names.split(","), settings.AWS_REGION, settings.AWS_ENDPOINT_URL)
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error
    return found.get("TELEGRAM_WEBHOOK_SECRET", "")


def _state(info: WebhookInfo) -> list[str]:
    """Return what Telegram says of the webhook: where, what waits, what went wrong last."""
    own = ", with our certificate" if info.has_custom_certificate else ""
    lines = [f"updates go to {info.url}{own}; {info.pending_update_count} wait to be delivered"]
    if info.last_error_date:
        age = round((datetime.now(UTC) - info.last_error_date).total_seconds())
        lines.append(f"the last delivery that failed, {age} s ago: {info.last_error_message}")
    return lines
