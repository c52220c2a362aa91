"""Keep the monthly budget as the operator wants it."""

import math
from collections.abc import Mapping

from botocore.exceptions import BotoCoreError, ClientError

from botsite import aws
from deploy import stacks
from deploy.budgets import stored
from deploy.budgets.stored import WHEN, Budget
from deploy.cfn import remedies
from deploy.cfn.cloudformation import StackError
from deploy.service import Service


def check_amount(wanted: float | None) -> None:
    """Raise StackError for an amount that no budget can have; AWS is not asked."""
    if wanted is not None and not 0 <= wanted < math.inf:
        raise StackError(f"--monthly-budget can't be {wanted:g}: give US dollars a month, or 0 for none.")


def check(service: Service, wanted: float | None, values: Mapping[str, str]) -> None:
    """Raise StackError for a budget without anybody who would hear of it."""
    if wanted and not _email(service, values):
        raise StackError("A budget needs somebody to write to: add --parameter AlarmEmail=you@example.com.")


def steps(service: Service, wanted: float | None) -> list[str]:
    """Return what `keep` would do, a sentence each; nothing is changed."""
    try:
        there = stored.find(service)
    except (ClientError, BotoCoreError) as error:
        return [_unknown(error)]
    if wanted == 0:
        return [f"The budget of {there} would be removed."] if there else []
    if wanted is None and there is None:
        return []
    made, reason = _intended(service, wanted, there)
    if there is None:
        return [f"A budget would be made: {made}. {reason}".rstrip()]
    return [] if _same(made, there) else [f"The budget would change from {there} to {made}. {reason}".rstrip()]


def keep(service: Service, wanted: float | None) -> list[str]:
    """Make, change, keep (`wanted` is None) or remove (0) the budget; return what happened, a sentence each."""
    try:
        there = stored.find(service)
    except (ClientError, BotoCoreError) as error:
        if wanted is not None:
            raise
        # Nobody asked for one: everything else is done.
        return [_unknown(error)]
    if wanted == 0:
        return [f"The budget of {there} is removed."] if stored.remove(service) else []
    if wanted is None and there is None:
        return []
    made, reason = _intended(service, wanted, there)
    email = _email(service, {})
    if there is None:
        stored.create(made, email)
        return [f"The budget is {made}. AWS writes to {email} {WHEN}. {reason}".rstrip()]
    changed = [] if _same(made, there) else [f"The budget was {there}; it is {made}. {reason}".rstrip()]
    if changed:
        stored.update(made)
    return [*changed, *stored.mail_to(service, email)]


def told(service: Service) -> str:
    """Return the budget and what AWS has counted this month, empty if there is none."""
    there = stored.find(service)
    if there is None:
        return ""
    return f"{there}; {_spent(there)}."


@aws.real_only(otherwise="what is spent of it is not known here")
def _spent(there: Budget) -> str:
    forecast = f", US$ {there.forecast:,.2f} forecast" if there.forecast is not None else ", no forecast yet"
    return f"US$ {there.spent or 0:,.2f} spent by AWS's count, up to a day late{forecast}"


def _intended(service: Service, wanted: float | None, there: Budget | None) -> tuple[Budget, str]:
    """Return the budget as it should be, and why it counts the whole account if it does."""
    dollars = wanted if wanted is not None else there.dollars if there else 0.0
    counts, reason = stored.tag_counts()
    # What isn't known now changes nothing that was known before.
    tagged = counts if counts is not None else bool(there and there.tagged)
    return Budget(service, dollars, tagged), "" if tagged else reason


def _same(one: Budget, other: Budget) -> bool:
    return (one.dollars, one.tagged) == (other.dollars, other.tagged)


def _email(service: Service, given: Mapping[str, str]) -> str:
    return stacks.values(service, "alarms", given)["AlarmEmail"]


def _unknown(error: ClientError | BotoCoreError) -> str:
    lacked = remedies.denied_action(error)
    reason = f"these credentials lack {lacked}." if lacked else remedies.explain(error)
    return f"Whether there is a budget is not known: {reason}"
