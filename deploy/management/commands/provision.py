"""Create the service on AWS, or bring it up to date."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console

from botsite import roles
from botsite.bot.telegram.errors import TelegramError
from botsite.roles import Role
from deploy import budget, provision, stacks
from deploy.certificates.choice import Way
from deploy.cfn.cloudformation import StackError
from deploy.images import rollout, source
from deploy.management import before, plan, token_input, turn
from deploy.management.base import StackCommand, progress, saying
from deploy.operate import sites
from deploy.provision import Order, next_steps
from deploy.service import Service
from deploy.webhook import bot
from metrics.backlog import BadSetting


class Command(StackCommand):
    """Bring up the whole service; `--plan` shows what that would change."""

    help = (
        "Create or update the whole service: stacks, machine images, certificate, the bot's token, its webhook. "
        "Running it again only changes what needs it: it finishes an interrupted run and renews what is about to "
        "expire."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the plan, the certificate, the token and the template parameters."""
        super().add_arguments(parser)
        parser.add_argument(
            "--plan", action="store_true", help="print what would change and what it costs; change nothing"
        )
        parser.add_argument(
            "--check", action="store_true", help="print whether the account has all it needs; make nothing"
        )
        parser.add_argument("--unchecked", action="store_true", help="go on although a check of the account failed")
        turn.add_yes(parser, "make a new service without asking, for scripts")
        parser.add_argument(
            "--bake-type",
            default="",
            metavar="TYPE",
            help="instance type that bakes images (default: t3.medium; on the Free Plan c7i-flex.large)",
        )
        parser.add_argument(
            "--rebake",
            action="append",
            nargs="?",
            type=roles.named,
            default=[],
            metavar="ROLE",
            help="bake the image of this role again, or of all, and replace the machines",
        )
        parser.add_argument(
            "--weights",
            type=Path,
            metavar="MODEL",
            help="the workers' model, baked if their image has another: as bake_ami takes it "
            "(default: what they have, at first yolo11n)",
        )
        parser.add_argument(
            "--photos-per-day",
            type=int,
            default=0,
            metavar="N",
            help="with --plan: what so many photos a day cost in a month, by machine type",
        )
        parser.add_argument("--domain", default="", help="the bot's host name, in a Route 53 zone of this account")
        parser.add_argument("--hosted-zone-id", default="", metavar="ID", help="the zone that holds --domain")
        parser.add_argument(
            "--self-signed", action="store_true", help="use a self-signed certificate for the load balancer's name"
        )
        parser.add_argument(
            "--open-admin",
            action="store_true",
            help="let everybody reach the admin's login, with OperatorCidr=0.0.0.0/0",
        )
        parser.add_argument(
            "--monthly-budget",
            type=float,
            metavar="USD",
            help="have AWS write to AlarmEmail at 80 %% of so many dollars a month, and when more is forecast; "
            "kept until it is set again, 0 removes it",
        )
        parser.add_argument("--token-fd", type=int, metavar="N", help=token_input.HELP)
        parser.add_argument("--wait", action="store_true", help="wait until old instances are replaced")
        parser.add_argument(
            "--parameter",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="set a template parameter, e.g. OperatorCidr=203.0.113.7/32, MaxWorkers=10 or KeptDays=60 (days); "
            "it keeps its value until it is set again; an unknown name prints the list",
        )

    def run(self, service: Service, **options: Any) -> None:
        """Plan or deploy."""
        order, console = _order(service, options), self.console()
        _together(options)
        provision.check_options(order)
        before.tell(console)
        if options["check"]:
            before.print_checks(console, order, options["token_fd"])
            return
        provision.check(order)
        if options["plan"]:
            _plan(console, order, options["photos_per_day"])
            return
        before.ask(console, service, options["yes"])
        if not options["unchecked"]:
            order = before.ready(console, order)
        with turn.taken(console, service, "provision", options["yes"]):
            self._carry_out(order, console, options)

    def _carry_out(self, order: Order, console: Console, options: dict[str, Any]) -> None:
        """Deploy, connect the bot and compare."""
        service = order.service
        token = token_input.take(service, options["token_fd"], console)
        self._deploy(order, console)
        if token:
            new = bot.store(service, token)
            console.print("The bot token is stored." if new else "The stored bot token is unchanged.")
        self._roll_out(service, console, options["wait"])
        sites.wait(service, saying(console))
        _connect(service, console)
        differences = _find_drift(service, console)
        for line in [*budget.keep(service, order.monthly_budget), *next_steps.after(service)]:
            console.print(line, markup=False)
        if differences:
            raise StackError(
                "Everything is deployed, but some live settings differ from the templates; somebody may have changed "
                "them by hand. Set them back, then run this again:\n" + "\n".join(f"  {one}" for one in differences)
            )

    def _deploy(self, order: Order, console: Console) -> None:
        with progress(console) as report:
            done = provision.provision(order, report, saying(console))
        for name, what in done.items():
            console.print(f"{name}: {what}")

    def _roll_out(self, service: Service, console: Console, wait: bool) -> None:
        for group, started in provision.roll_out(service, saying(console)).items():
            if wait:
                rollout.follow(group, started, saying(console))


def _plan(console: Console, order: Order, photos_per_day: int) -> None:
    try:
        plan.show(console, order, photos_per_day)
    except BadSetting as error:
        raise CommandError(str(error)) from error


def _find_drift(service: Service, console: Console) -> list[str]:
    """Wait until CloudFormation has compared the live settings with the templates; return what differs."""
    console.print("Comparing the live settings with the templates, which takes AWS some minutes.")
    with progress(console) as report:
        found = stacks.find_drift(service, report)
    for line in found.lines():
        console.print(line, markup=False)
    return found.differences


def _connect(service: Service, console: Console) -> None:
    """Give Telegram the webhook, once there are a token and a certificate."""
    if next_steps.lacking(service):
        return
    try:
        done = bot.connect(service, saying(console))
        introduced = bot.introduce(service)
    except TelegramError as error:
        raise CommandError(
            f"Everything is deployed, but Telegram doesn't send updates yet. {error} - then run this again."
        ) from error
    for change in [*done.changes, *introduced]:
        console.print(f"Changed {change}", markup=False)
    console.print("The webhook was sent to Telegram." if done.sent else "Telegram already has the webhook.")


def _together(options: dict[str, Any]) -> None:
    """Raise CommandError for options that say nothing together."""
    if options["photos_per_day"] and not options["plan"]:
        raise CommandError("--photos-per-day only adds to --plan, which changes nothing.")


def _order(service: Service, options: dict[str, Any]) -> Order:
    values = dict(_pair(text) for text in options["parameter"])
    way = Way(options["domain"], options["hosted_zone_id"].removeprefix("/hostedzone/"), options["self_signed"])
    return Order(
        service,
        values,
        way,
        options["bake_type"],
        options["open_admin"],
        options["monthly_budget"],
        _rebaked(options["rebake"]),
        source.ready(options["weights"]),
    )


def _rebaked(named: Sequence[Role | None]) -> tuple[str, ...]:
    """Return the roles that are baked again; all, if the option names none."""
    chosen = [role for role in named if role] if all(named) else roles.ROLES
    return tuple(dict.fromkeys(role.short for role in chosen))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise CommandError(f"--parameter {text!r} is not NAME=VALUE.")
    return name, value
