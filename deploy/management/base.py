"""Share what the commands on the stacks have in common: --prefix, errors that say what to do, output by rich."""

import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import IO, Any, cast
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Table
from rich.text import Text

from botsite import aws
from deploy import background, interrupts
from deploy.cfn import remedies
from deploy.cfn.cloudformation import Change, Event, Report, StackError
from deploy.costs import Cost
from deploy.patience import Say
from deploy.preflight import rights
from deploy.service import DEFAULT_PREFIX, Service

# The work waits for it.
_ACCOUNT_SECONDS = 1.0
_COLOURS = (("FAILED", "red"), ("ROLLBACK", "red"), ("_COMPLETE", "green"), ("_IN_PROGRESS", "yellow"))


class StackCommand(BaseCommand):
    """Run a command on the service that `--prefix` names. A subclass writes `run`."""

    requires_system_checks: list[str] = []  # noqa: RUF012  # Django's own declaration of it
    # Django's own options work, but --help is to fit one screen.
    suppressed_base_arguments = {  # noqa: RUF012  # Django's own declaration of it
        "--version",
        "--verbosity",
        "--settings",
        "--pythonpath",
        "--traceback",
        "--no-color",
        "--force-color",
    }
    # Whether a terminal is told first which service this is, and where; a pipe never is.
    tells_where = True
    # Printed after Ctrl-C.
    interrupted = "Interrupted. CloudFormation finishes what it has started: run the command again for the rest."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `--prefix`."""
        parser.add_argument(
            "--prefix",
            default=DEFAULT_PREFIX,
            help=f"prefix for all stack and resource names (3-20 characters; default: {DEFAULT_PREFIX})",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command; turn failures outside this program into a message that says what to do."""
        try:
            self.reach()
            with interrupts.handled(signal.SIGTERM, handler=interrupts.as_ctrl_c):
                service = Service(options["prefix"] or DEFAULT_PREFIX)
                if self.tells_where and self.stdout.isatty() and self.stderr.isatty():
                    self.stderr.write(f"{self.meant(service, options)}, {_place()}", str)
                self.run(service, **options)
        except StackError as error:
            raise CommandError(str(error)) from error
        except (ClientError, BotoCoreError) as error:
            raise CommandError(remedies.explain(error)) from error
        except KeyboardInterrupt as interrupt:
            raise CommandError(self.interrupted, returncode=130) from interrupt

    def run(self, service: Service, **options: Any) -> None:
        """Do the command's work."""
        raise NotImplementedError

    def meant(self, service: Service, options: Mapping[str, Any]) -> str:
        """Return which service the command is about, for people."""
        return service.prefix

    def reach(self) -> None:
        """Raise what botocore raises without a region, or with a profile that doesn't exist, before the work begins."""
        aws.client("cloudformation")

    def console(self) -> Console:
        """Return a console on the command's output: colours on a terminal, plain wide lines elsewhere."""
        # Django would add a line break to each piece that rich writes.
        self.stdout.ending = ""
        terminal = self.stdout.isatty()
        return Console(
            file=cast(IO[str], self.stdout), highlight=False, soft_wrap=True, width=None if terminal else 160
        )


class DataCommand(StackCommand):
    """Run a command on a service's queue and table. A subclass writes `work`.

    Without `--prefix`, what the environment names counts, such as the demo's, and for the rest the default prefix.
    """

    # The settings that the work takes.
    needs: Sequence[str] = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Let `--prefix` be empty."""
        super().add_arguments(parser)
        parser.set_defaults(prefix="")

    def run(self, service: Service, **options: Any) -> None:
        """Work with the service's settings."""
        missing = [name for name in self.needs if options["prefix"] or not getattr(settings, name)]
        if missing:
            service.require()
        with service.settings_taken(*missing):
            self.work(**options)

    def meant(self, service: Service, options: Mapping[str, Any]) -> str:
        """Return the prefix, or the first setting if the environment has it."""
        value = "" if options["prefix"] else getattr(settings, self.needs[0])
        return f"{self.needs[0]}={value} of the environment" if value else service.prefix

    def work(self, **options: Any) -> None:
        """Do the command's work; the settings are those of the service."""
        raise NotImplementedError


def _place() -> str:
    """Return where AWS is: this machine, or an account and its region; the region alone if AWS is slow to tell."""
    if aws.emulated():
        here = urlsplit(aws.place()).hostname in ("127.0.0.1", "localhost")
        return f"on this machine ({aws.place()})" if here else aws.place()
    try:
        return f"account {background.start(rights.read_account).result(_ACCOUNT_SECONDS).id} in {settings.AWS_REGION}"
    except (ClientError, BotoCoreError, TimeoutError):
        return aws.place()


def saying(console: Console) -> Say:
    """Return what prints a line as it is."""
    return partial(console.print, markup=False)


@contextmanager
def progress(console: Console) -> Iterator[Report]:
    """Yield a report that prints a line per event; on a terminal, the stack at work is shown below."""
    with console.status("Asking CloudFormation") as status:

        def report(event: Event) -> None:
            colour = next((colour for word, colour in _COLOURS if word in event.status), "default")
            line = Text(f"{event.stack:<15} ").append(f"{event.status:<18}", colour)
            console.print(line.append(f" {event.logical_id:<18} {event.type}  {event.reason}".rstrip()))
            status.update(Text(f"{event.stack}: {event.logical_id}"))

        yield report


def change_table(changes: Iterable[Change]) -> Table:
    """Return a change set as a table."""
    table = Table("stack", "action", "logical id", "type", "replacement", box=None, header_style="bold", pad_edge=False)
    for one in changes:
        table.add_row(one.stack, one.action, one.logical_id, one.type, one.replacement or "-")
    return table


def cost_table(title: str, lines: Sequence[Cost]) -> Table:
    """Return an estimate as a table, the most expensive line first, with the total."""
    table = Table(title, "US$", "how", box=None, header_style="bold", pad_edge=False)
    table.columns[1].justify = "right"
    for one in sorted(lines, key=lambda line: -line.dollars):
        table.add_row(one.what, f"{one.dollars:.2f}" if one.dollars >= 0.1 else f"{one.dollars:.4f}", one.how)
    table.add_row("total", f"{sum(one.dollars for one in lines):.2f}", "", style="bold")
    return table
