"""The checks by name, and how they run: all at once, each with its own failures."""

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait

from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import ImproperlyConfigured

from botsite import logs
from botsite.bot.errors import TelegramError
from deploy.cfn import refusals
from deploy.cfn.cloudformation import StackError
from deploy.doctor import alarms, bot, certificate, clock, machines, metric, queues, region, route
from deploy.doctor.findings import Finding, Verdict, failed, unknown
from deploy.doctor.place import Place
from deploy.management.base import advice

Check = Callable[[Place], Verdict]
CHECKS: Mapping[str, Check] = {
    "clock": clock.check,
    "zones": region.zones,
    "quotas": region.quotas,
    "certificate": certificate.check,
    "token": bot.token,
    "webhook": bot.registered,
    "targets": machines.targets,
    "route": route.check,
    "queue": queues.attributes,
    "dead-letters": queues.dead_letters,
    "metric": metric.check,
    "alarms": alarms.check,
    "capacity": machines.capacity,
    "images": machines.images,
    "metadata": machines.metadata,
}
# Longer than a slow answer, shorter than an operator's patience.
TIMEOUT_SECONDS = 20.0


def run(
    place: Place, names: Iterable[str], checks: Mapping[str, Check] = CHECKS, timeout_seconds: float = TIMEOUT_SECONDS
) -> list[Finding]:
    """Run the named checks at once and return their findings in this order; one that takes too long has failed."""
    running = {name: _start(checks[name], place) for name in names}
    wait(running.values(), timeout_seconds)
    return [Finding(name, _verdict(future, timeout_seconds)) for name, future in running.items()]


def _start(check: Check, place: Place) -> Future[Verdict]:
    """Run a check in a thread of its own, a daemon: one that hangs must not keep the command from ending."""
    future: Future[Verdict] = Future()

    def work() -> None:
        try:
            future.set_result(check(place))
        except Exception as error:  # noqa: BLE001  # whatever goes wrong in a check is what it has found
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future


def _verdict(future: Future[Verdict], timeout_seconds: float) -> Verdict:
    if not future.done():
        return failed(f"no answer within {timeout_seconds:g} s", "Run the check again, alone: --only NAME.")
    error = future.exception()
    return future.result() if error is None else _failure(error)


def _failure(error: BaseException) -> Verdict:
    """Return what an exception says, with a way out; a missing permission is no failure of the service."""
    if action := refusals.denied_action(error):
        return unknown(f"these credentials may not do {action}", f"Grant {action} to them, or use others.")
    match error:
        case ClientError() | BotoCoreError():
            return failed(str(error), advice(error))
        case StackError() | TelegramError() | ImproperlyConfigured() | LookupError():
            return failed(logs.redact(str(error)), "Mend this first: the check needs it.")
    return failed(logs.redact(f"{type(error).__name__}: {error}"), "This is a defect of the check: please report it.")
