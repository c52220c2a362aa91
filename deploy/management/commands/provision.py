"""Make the service's place on AWS, or bring it up to date."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console

from botsite.bot.errors import TelegramError
from deploy import next_steps, provision
from deploy.certificates.choice import Way
from deploy.images import rollout
from deploy.management.base import StackCommand, progress
from deploy.management.plan import show
from deploy.provision import Order
from deploy.webhook import bot, token_input


class Command(StackCommand):
    """Bring up the whole service; `--plan` shows what that would change instead."""

    help = (
        "Create or update the whole service: stacks, machine images, certificate, the bot's token, its webhook. "
        "Running it again changes nothing that is right, renews what would expire, finishes what was interrupted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the plan, the certificate, the token and the templates' parameters."""
        super().add_arguments(parser)
        parser.add_argument(
            "--plan", action="store_true", help="print what would change, and what it costs; change nothing"
        )
        parser.add_argument("--domain", default="", help="the bot's host name, in a Route 53 zone of this account")
        parser.add_argument("--hosted-zone-id", default="", metavar="ID", help="the zone that holds --domain")
        parser.add_argument(
            "--self-signed", action="store_true", help="use a certificate of our own, for the load balancer's name"
        )
        parser.add_argument("--token-fd", type=int, metavar="N", help=token_input.HELP)
        parser.add_argument("--wait", action="store_true", help="wait until old machines are replaced")
        parser.add_argument(
            "--parameter",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="set a parameter of a template, e.g. OperatorCidr=203.0.113.7/32, MaxWorkers=10 or KeptDays=60 "
            "(days); it is kept until it is set again; a name that is none lists them all",
        )

    def run(self, **options: Any) -> None:
        """Plan or deploy."""
        order, console = _order(options), self.console()
        provision.check(order)
        if options["plan"]:
            show(console, order)
            return
        token = token_input.take(order.prefix, options["token_fd"], console)
        self._deploy(order, console)
        if token:
            new = bot.store(order.prefix, token)
            console.print("The bot's token is stored." if new else "The bot's token is the one that is stored.")
        self._roll_out(order.prefix, console, options["wait"])
        _connect(order.prefix, console)
        for line in next_steps.lines(order.prefix):
            console.print(line, markup=False)

    def _deploy(self, order: Order, console: Console) -> None:
        with progress(console) as report:
            done = provision.provision(order, report, lambda text: console.print(text, markup=False))
        for name, what in done.stacks.items():
            console.print(f"{name}: {what}")
        for line in done.fixups:
            console.print(f"set afterwards, because the emulator's CloudFormation drops it: {line}")
        console.print("The live settings are as the templates say.")

    def _roll_out(self, prefix: str, console: Console, wait: bool) -> None:
        def say(text: str) -> None:
            console.print(text, markup=False)

        for group, started in provision.roll_out(prefix, say).items():
            if wait:
                rollout.follow(group, started, say)


def _connect(prefix: str, console: Console) -> None:
    """Tell Telegram where updates go, once there is a token to do it with and a certificate to do it by."""
    if next_steps.lacking(prefix):
        return
    try:
        done = bot.connect(prefix, lambda text: console.print(text, markup=False))
    except TelegramError as error:
        raise CommandError(
            f"All is deployed, but Telegram sends no updates yet. {error} - then run this again."
        ) from error
    for change in done.changes:
        console.print(f"Telegram had {change}.", markup=False)
    console.print("The webhook was given to Telegram." if done.sent else "Telegram has the webhook already.")


def _order(options: dict[str, Any]) -> Order:
    values = dict(_pair(text) for text in options["parameter"])
    way = Way(options["domain"], options["hosted_zone_id"].removeprefix("/hostedzone/"), options["self_signed"])
    return Order(options["prefix"], values, way)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise CommandError(f"--parameter {text!r} is not NAME=VALUE.")
    return name, value
