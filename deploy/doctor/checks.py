"""List the checks by name, and run them all at once; a failing check doesn't stop the others."""

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait

from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import ImproperlyConfigured

from botsite import logs
from botsite.bot.errors import TelegramError
from deploy.cfn import remedies
from deploy.cfn.cloudformation import StackError
from deploy.doctor import alarms, bot, certificate, clock, machines, metric, queues, region, route
from deploy.doctor.findings import Finding, Verdict, failed, unknown
from deploy.service import Service

Check = Callable[[Service], Verdict]
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
    service: Service,
    names: Iterable[str],
    checks: Mapping[str, Check] = CHECKS,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> list[Finding]:
    """Run the named checks at once; return their findings in this order. A check that takes too long has failed."""
    running = {name: _start(checks[name], service) for name in names}
    wait(running.values(), timeout_seconds)
    return [Finding(name, _verdict(future, timeout_seconds)) for name, future in running.items()]


def _start(check: Check, service: Service) -> Future[Verdict]:
    """Run a check in a daemon thread, so that one that hangs doesn't keep the command from ending."""
    future: Future[Verdict] = Future()

    def work() -> None:
        try:
            future.set_result(check(service))
        except Exception as error:  # noqa: BLE001  # any failure is the check's finding
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future


def _verdict(future: Future[Verdict], timeout_seconds: float) -> Verdict:
    if not future.done():
        return failed(f"no answer within {timeout_seconds:g} s", "Run this check alone: --only NAME.")
    error = future.exception()
    return future.result() if error is None else _failure(error)


def _failure(error: BaseException) -> Verdict:
    """Turn an exception into a verdict; a missing permission is not a failure of the service."""
    if action := remedies.denied_action(error):
        return unknown(f"these credentials lack {action}", f"Grant {action}, or use other credentials.")
    match error:
        case ClientError() | BotoCoreError():
            return failed(str(error), remedies.explain(error))
        case StackError() | TelegramError() | ImproperlyConfigured() | LookupError():
            return failed(logs.redact(str(error)), "Fix this first; the check depends on it.")
    return failed(logs.redact(f"{type(error).__name__}: {error}"), "This is a bug in the check: please report it.")
