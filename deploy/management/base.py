"""What the commands that speak to CloudFormation share: the prefix, errors that say what to do, output by rich."""

import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, cast

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Table
from rich.text import Text

from botsite import aws
from deploy import interrupts, stacks
from deploy.cfn import refusals, remedies
from deploy.cfn.cloudformation import Change, Event, Report, StackError
from deploy.costs import Line

_REJECTED = ("ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException")
_COLOURS = (("FAILED", "red"), ("ROLLBACK", "red"), ("_COMPLETE", "green"), ("_IN_PROGRESS", "yellow"))
_LOG_IN = (
    "Log in (`aws sso login`, `aws configure`, AWS_PROFILE, or the role of the machine), check with "
    "`aws sts get-caller-identity`, and run the command again."
)


class StackCommand(BaseCommand):
    """A command on the stacks that begin with `--prefix`. A subclass writes `run`."""

    requires_system_checks: list[str] = []  # noqa: RUF012  # Django's own declaration of it
    # What to know after Ctrl-C.
    interrupted = "Interrupted. What CloudFormation has begun goes on by itself: run the command again to finish."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `--prefix`."""
        parser.add_argument(
            "--prefix",
            default=stacks.DEFAULT_PREFIX,
            help="begins the names of the stacks and of all in them, 3 to 20 characters (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command; turn what can go wrong outside this program into a text with a way out."""
        try:
            with interrupts.handled(signal.SIGTERM, handler=interrupts.as_ctrl_c):
                self.run(**options)
        except StackError as error:
            raise CommandError(str(error)) from error
        except (ClientError, BotoCoreError) as error:
            raise CommandError(advice(error)) from error
        except KeyboardInterrupt as interrupt:
            raise CommandError(self.interrupted, returncode=130) from interrupt

    def run(self, **options: Any) -> None:
        """Do the command's work."""
        raise NotImplementedError

    def console(self) -> Console:
        """Return a console on the command's output: colours on a terminal, plain wide lines elsewhere."""
        # Django would end each piece that rich writes with a line break.
        self.stdout.ending = ""
        terminal = self.stdout.isatty()
        return Console(
            file=cast(IO[str], self.stdout), highlight=False, soft_wrap=True, width=None if terminal else 160
        )


@contextmanager
def progress(console: Console) -> Iterator[Report]:
    """Yield a report for `stacks` that prints a line an event, with the stack at work below on a terminal."""
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


def cost_table(title: str, lines: Sequence[Line]) -> Table:
    """Return an estimate as a table, the dearest first, with its sum."""
    table = Table(title, "US$", "how", box=None, header_style="bold", pad_edge=False)
    table.columns[1].justify = "right"
    for one in sorted(lines, key=lambda line: -line.dollars):
        table.add_row(one.what, f"{one.dollars:.2f}" if one.dollars >= 0.1 else f"{one.dollars:.4f}", one.how)
    table.add_row("together", f"{sum(one.dollars for one in lines):.2f}", "", style="bold")
    return table


def advice(error: ClientError | BotoCoreError) -> str:
    """Return what is wrong and what to do about it."""
    if isinstance(error, ClientError):
        return _refusal(error)
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return f"There are no AWS credentials here ({error}). {_LOG_IN}"
    if isinstance(error, CredentialRetrievalError | TokenRetrievalError | SSOError):
        return f"The AWS credentials cannot be had: {error}. {_LOG_IN}"
    if isinstance(error, NoRegionError | InvalidRegionError):
        return f"{error} Set AWS_REGION to one, such as us-east-1."
    if isinstance(error, NoConnectionError | HTTPClientError):
        return f"Cannot reach {aws.place()}: {error} Check AWS_ENDPOINT_URL, AWS_REGION and the network."
    return str(error)


def _refusal(error: ClientError) -> str:
    code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    if action := refusals.denied_action(error):
        return f"These credentials lack the permission {action}: grant it to them, or use others. AWS says: {message}"
    if code in _REJECTED:
        return (
            f"AWS does not accept these credentials in {settings.AWS_REGION} ({code}: {message}). {_LOG_IN} A region "
            "that has to be enabled for an account first says the same: look at AWS_REGION."
        )
    return f"{error.operation_name} failed with {code}: {message}{remedies.advice(f'{code}: {message}')}"
