"""Read many things at once: what can't be read is said to be not known, with the reason, and hides nothing else."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import ImproperlyConfigured

from botsite import logs
from botsite.bot.telegram.errors import TelegramError
from botsite.staff.sources import Reading
from deploy import background
from deploy.cfn import remedies
from deploy.cfn.cloudformation import StackError

# With the start of the program, a command answers within five seconds.
SECONDS = 3.5


class NotKnownHere(Exception):
    """This place, such as an emulator, doesn't have the answer; the text says why."""


def read(reads: Mapping[str, Callable[[], Any]], seconds: float = SECONDS) -> dict[str, Reading[Any]]:
    """Call all functions at once; return what each returned, or why it returned nothing within the time."""
    running = {name: background.start(one) for name, one in reads.items()}
    wait(running.values(), seconds)
    return {name: _reading(one, seconds) for name, one in running.items()}


def _reading(running: Future[Any], seconds: float) -> Reading[Any]:
    if not running.done():
        return Reading(None, f"not known: no answer within {seconds:g} s")
    error = running.exception()
    return Reading(running.result()) if error is None else Reading(None, logs.redact(_why(error)))


def _why(error: BaseException) -> str:
    if action := remedies.denied_action(error):
        return f"not known: these credentials lack {action}"
    match error:
        case NotKnownHere():
            return f"not known here: {error}"
        case ClientError() | BotoCoreError():
            return f"not known: {remedies.explain(error)}"
        case StackError() | TelegramError() | ImproperlyConfigured():
            return f"not known: {error}"
    return f"not known: {type(error).__name__}: {error}"
