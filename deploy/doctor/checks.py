"""List the checks by name, and run them all at once; a failing check doesn't stop the others."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import ImproperlyConfigured

from botsite import aws, logs
from botsite.bot.telegram.client import NoToken
from botsite.bot.telegram.errors import TelegramError
from deploy import background
from deploy.cfn import remedies
from deploy.cfn.cloudformation import StackError
from deploy.doctor import alarms, bot, certificate, clock, guests, machines, metric, queues, region, route
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
    "guests": guests.check,
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
# What they look at is there before the service is.
OF_ACCOUNT = frozenset(("clock", "zones"))
# Longer than a slow answer, shorter than an operator's patience.
TIMEOUT_SECONDS = 20.0


def run(
    service: Service,
    names: Iterable[str],
    checks: Mapping[str, Check] = CHECKS,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> list[Finding]:
    """Run the named checks at once; return their findings in this order. A check that takes too long has failed."""
    running = {name: background.start(partial(checks[name], service)) for name in names}
    wait(running.values(), timeout_seconds)
    return [Finding(name, _verdict(service, name, one, timeout_seconds)) for name, one in running.items()]


def _verdict(service: Service, name: str, running: Future[Verdict], timeout_seconds: float) -> Verdict:
    if not running.done():
        again = f"python manage.py doctor --prefix {service} --only {name}"
        return failed(f"no answer within {timeout_seconds:g} s", f"Run it alone, perhaps it was slow: {again}")
    error = running.exception()
    return running.result() if error is None else _failure(service, error)


def _failure(service: Service, error: BaseException) -> Verdict:
    """Turn an exception into a verdict; a missing permission is not a failure of the service."""
    if action := remedies.denied_action(error):
        return unknown(f"these credentials lack {action}", f"Grant {action}, or use other credentials.")
    seen = logs.redact(str(error))
    match error:
        case ClientError() | BotoCoreError():
            return failed(seen, remedies.explain(error))
        case NoToken() if aws.emulated():
            return unknown(seen)
        case NoToken() | TelegramError(permanent=True):
            return failed(seen, f"Store it again: python manage.py rotate telegram-token --prefix {service}")
        case TelegramError():
            return failed(seen, "Telegram, or the way to it, is down: run this again in a minute.")
        case StackError() | ImproperlyConfigured() | LookupError():
            return failed(seen, f"Run: python manage.py provision --prefix {service}")
    return failed(logs.redact(f"{type(error).__name__}: {error}"), "This is a bug in the check: please report it.")
