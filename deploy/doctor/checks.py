"""List the checks by name, and run them all at once; a failing check doesn't stop the others."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from deploy import account_plan, background, stacks
from deploy.cfn.cloudformation import Report, StackError
from deploy.cfn.drift import Comparison
from deploy.doctor import bot, edge, machines, region, signals
from deploy.doctor.failures import failed_check
from deploy.service import Service
from metrics.health.findings import Finding, failed, ok, unknown, worst

Check = Callable[[Service], Finding[Any]]
CHECKS: Mapping[str, Check] = {
    "clock": edge.compare_clock,
    "zones": region.count_zones,
    "quotas": region.compare_quota,
    "credit": account_plan.read_credit,
    "certificate": edge.read_certificate,
    "token": bot.ask_for_bot,
    "webhook": bot.read_webhook,
    "guests": bot.ask_for_guests,
    "targets": machines.read_targets,
    "route": edge.try_route,
    "dead-letters": signals.count_dead_letters,
    "metric": signals.read_metric,
    "alarms": signals.read_alarms,
    "capacity": machines.compare_capacity,
    "images": machines.compare_images,
}
# These need no service.
OF_ACCOUNT = frozenset(("clock", "zones"))
# Longer than a slow answer, shorter than an operator's patience.
TIMEOUT_SECONDS = 20.0


def run(
    service: Service,
    names: Iterable[str],
    checks: Mapping[str, Check] = CHECKS,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> list[Finding[Any]]:
    """Run the named checks at once; return their findings in this order. A check that takes too long has failed."""
    asked = {name: partial(_whole, checks[name], service) for name in names}
    return list(background.gather(asked, timeout_seconds, partial(failed_check, service)).values())


def _whole(check: Check, service: Service) -> Finding[Any]:
    """Return one finding for all of its parts."""
    found = check(service)
    return worst([found, *found.more])


def find_drift(service: Service, report: Report) -> Finding[Any]:
    """Have CloudFormation compare the live settings with the templates, which takes minutes: `drift`."""
    try:
        return judge_drift(stacks.find_drift(service, report)).called("drift")
    except (ClientError, BotoCoreError, StackError) as error:
        return failed_check(service, "drift", error).called("drift")


def judge_drift(found: Comparison) -> Finding[Any]:
    """Judge what CloudFormation has compared."""
    seen = " ".join(found.lines())
    if found.differences:
        todo = "Set them back by hand: CloudFormation leaves a property alone that the template doesn't change."
        return failed("; ".join(found.differences) + f". {seen}", todo)
    return unknown(seen) if found.unfinished else ok(seen)
