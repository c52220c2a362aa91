"""Make the service's place on AWS, or bring it up to date."""

import getpass
import os
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console

from botsite.telegram import TelegramError
from deploy import bot_token, costs, https, prices, service, stacks
from deploy.https import Way
from deploy.management.base import StackCommand, change_table, cost_table, progress
from deploy.template import Template


class Command(StackCommand):
    """Bring up the service; `--plan` shows what that would change instead."""

    help = (
        "Create or update the service's CloudFormation stacks, machine images and certificate. Running it again "
        "changes nothing that is right, and renews what would expire."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the plan, the certificate, the token and the templates' parameters."""
        super().add_arguments(parser)
        parser.add_argument("--plan", action="store_true", help="only print what would change, and what it costs")
        way = parser.add_mutually_exclusive_group()
        way.add_argument("--domain", default="", help="the bot's host name, in a Route 53 zone of this account")
        way.add_argument(
            "--self-signed", action="store_true", help="a certificate of our own, for the load balancer's name"
        )
        parser.add_argument("--hosted-zone-id", default="", metavar="ID", help="the zone that holds --domain")
        parser.add_argument(
            "--token-fd",
            type=int,
            metavar="N",
            help="read the bot's token from this file descriptor, e.g. --token-fd 3 3<file; on a terminal it is asked "
            "for if there is none yet",
        )
        parser.add_argument(
            "--parameter",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="set a parameter of a template, e.g. KeptDays=60 (days); it is kept until it is set again",
        )

    def run(self, **options: Any) -> None:
        """Plan or deploy."""
        prefix, values = options["prefix"], dict(_pair(text) for text in options["parameter"])
        console, way = self.console(), _way(options)
        if options["plan"]:
            _plan(console, prefix, {**values, **https.planned(way)})
            return
        with progress(console) as report:

            def say(text: str) -> None:
                console.print(text, markup=False)

            done = service.provision(prefix, values, way, report, say)
        for name, what in done.stacks.items():
            console.print(f"{name}: {what}")
        for line in done.fixups:
            console.print(f"set afterwards, because the emulator's CloudFormation drops it: {line}")
        console.print("The live settings are as the templates say.")
        _token(console, prefix, options["token_fd"])
        _next(console, prefix)


def _way(options: Mapping[str, Any]) -> Way:
    if bool(options["domain"]) != bool(options["hosted_zone_id"]):
        raise CommandError(
            "--domain and --hosted-zone-id go together: `aws route53 list-hosted-zones` lists the zones."
        )
    return Way(options["domain"], options["hosted_zone_id"], options["self_signed"])


def _plan(console: Console, prefix: str, values: dict[str, str]) -> None:
    """Print what would change, and what the service costs."""
    changes = stacks.plan(prefix, values)
    console.print(change_table(changes) if changes else f"Nothing would change in the stacks of {prefix}.")
    _estimate(console, stacks.planned(prefix, values))


def _estimate(console: Console, planned: list[tuple[Template, Mapping[str, str]]]) -> None:
    made = [costs.resources(template, names) for template, names in planned]
    names = {key: value for _, given in planned for key, value in given.items()}
    worker_type, kept_days = names["WorkerType"], float(names["KeptDays"])
    console.print(cost_table("a month without photos", costs.idle_month(made)))
    console.print(cost_table("a thousand photos", costs.thousand_photos(worker_type, kept_days)))
    console.print(f"List prices of {prices.REGION}, {prices.AS_OF}, before taxes and free tiers.")
    for one in costs.unknown(made, worker_type):
        console.print(f"There is no price for {one} in deploy/prices.py: its hours are not in these sums.")


def _token(console: Console, prefix: str, descriptor: int | None) -> None:
    """Store the bot's token if it is given, or if there is none yet and somebody to ask."""
    secret_id = stacks.existing(prefix, "web").outputs["TokenSecretName"]
    given = _read(descriptor) if descriptor is not None else ""
    if not given and console.is_terminal and bot_token.missing(secret_id):
        given = getpass.getpass("The bot's token, from @BotFather (it is not shown): ")
    if not given:
        return
    try:
        console.print(f"The token of {bot_token.store(secret_id, given)} is stored.")
    except TelegramError as error:
        raise CommandError(f"The token is not stored. {error}") from error


def _read(descriptor: int) -> str:
    try:
        with os.fdopen(descriptor) as file:
            return file.read().strip()
    except OSError as error:
        raise CommandError(f"--token-fd {descriptor}: {error.strerror}. Give it a file: 3<token.txt") from error


def _next(console: Console, prefix: str) -> None:
    """Print what the service still lacks."""
    web = stacks.existing(prefix, "web")
    if bot_token.missing(web.outputs["TokenSecretName"]):
        console.print("The bot has no token yet: run this again on a terminal, or with --token-fd.")
    if not web.parameters.get("CertificateArn"):
        console.print(
            "Telegram cannot call yet, for want of a certificate: run this again with --domain or --self-signed."
        )
    else:
        console.print(f"Let Telegram call: python manage.py set_webhook --prefix {prefix}")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise CommandError(f"--parameter {text!r} is not NAME=VALUE.")
    return name, value
