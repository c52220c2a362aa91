"""A monthly budget: AWS mails the alarms' address when most of it is spent, and when it won't last the month.

It isn't in a template: whether the service's tag filters costs is only known at run time, and emulators refuse a whole
stack with an `AWS::Budgets::Budget`. A mail needs no topic policy, which would take the alarms' topic its default one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from botsite import aws
from deploy import stacks
from deploy.cfn import remedies
from deploy.cfn.cloudformation import StackError
from deploy.service import Service

TYPE = "AWS::Budgets::Budget"
TAG = "Project"
NOTIFICATIONS: tuple[dict[str, Any], ...] = tuple(
    {
        "NotificationType": kind,
        "ComparisonOperator": "GREATER_THAN",
        "Threshold": float(percent),
        "ThresholdType": "PERCENTAGE",
    }
    for kind, percent in (("ACTUAL", 80), ("FORECASTED", 100))
)
_GROSS = {"IncludeCredit": False, "IncludeRefund": False}
WHEN = "at 80 % spent, and when the forecast for the month is above 100 %"


@dataclass(frozen=True)
class MonthlyBudget:
    """A budget of a service, in US dollars a month.

    `tagged`: it counts what carries the service's tag, else the whole account. `gross`: it counts what credits pay,
    too; net of them, a new account spends nothing until they are gone. `spent` and `forecast` are what AWS has
    counted this month, None if it doesn't know yet.
    """

    service: Service
    dollars: float
    tagged: bool
    gross: bool = True
    spent: float | None = None
    forecast: float | None = None

    def __str__(self) -> str:
        counted = f"what carries the tag {TAG}={self.service}" if self.tagged else "the whole account"
        return f"US$ {self.dollars:,.2f} a month for {counted}{'' if self.gross else ', net of credits'}"


def check_amount(wanted: float | None) -> None:
    """Raise StackError for an amount that no budget can have; AWS is not asked."""
    if wanted is not None and not 0 <= wanted < math.inf:
        raise StackError(f"--monthly-budget can't be {wanted:g}: give US dollars a month, or 0 for none.")


def check_reader(service: Service, wanted: float | None, values: Mapping[str, str]) -> None:
    """Raise StackError for a budget without anybody who would hear of it."""
    if wanted and not _email(service, values):
        raise StackError("A budget needs somebody to write to: add --parameter AlarmEmail=you@example.com.")


def steps(service: Service, wanted: float | None) -> list[str]:
    """Return what `keep` would do, a sentence each; nothing is changed."""
    try:
        there = find(service)
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
        there = find(service)
    except (ClientError, BotoCoreError) as error:
        if wanted is not None:
            raise
        # Nobody asked for one: everything else is done.
        return [_unknown(error)]
    if wanted == 0:
        return [f"The budget of {there} is removed."] if remove(service) else []
    if wanted is None and there is None:
        return []
    made, reason = _intended(service, wanted, there)
    if there is None:
        email = _email(service, {})
        create(made, email)
        return [f"The budget is {made}. AWS writes to {email} {WHEN}. {reason}".rstrip()]
    if _same(made, there):
        return []
    aws.client("budgets").update_budget(AccountId=_account(), NewBudget=_written(made))
    return [f"The budget was {there}; it is {made}. {reason}".rstrip()]


def spending(service: Service) -> str:
    """Return the budget and what AWS has counted this month, empty if there is none."""
    there = find(service)
    if there is None:
        return ""
    return f"{there}; {_spent(there)}."


@aws.real_only(otherwise="what is spent of it is not known here")
def _spent(there: MonthlyBudget) -> str:
    forecast = f", US$ {there.forecast:,.2f} forecast" if there.forecast is not None else ", no forecast yet"
    return f"US$ {there.spent or 0:,.2f} spent by AWS's count, up to a day late{forecast}"


def _intended(service: Service, wanted: float | None, there: MonthlyBudget | None) -> tuple[MonthlyBudget, str]:
    """Return the budget as it should be, and why it counts the whole account if it does."""
    dollars = wanted if wanted is not None else there.dollars if there else 0.0
    counts, reason = tag_counts()
    # What isn't known now changes nothing that was known before.
    tagged = counts if counts is not None else bool(there and there.tagged)
    return MonthlyBudget(service, dollars, tagged), "" if tagged else reason


def _same(one: MonthlyBudget, other: MonthlyBudget) -> bool:
    return (one.dollars, one.tagged, one.gross) == (other.dollars, other.tagged, other.gross)


def _email(service: Service, given: Mapping[str, str]) -> str:
    return stacks.values(service, "alarms", given)["AlarmEmail"]


def _unknown(error: ClientError | BotoCoreError) -> str:
    lacked = remedies.denied_action(error)
    reason = f"these credentials lack {lacked}." if lacked else remedies.explain(error)
    return f"Whether there is a budget is not known: {reason}"


def name(service: Service) -> str:
    """Return the name of the service's budget, which all regions of an account share."""
    return f"{service}-monthly"


def arn(service: Service) -> str:
    """Return the ARN of the service's budget, whether it exists or not."""
    return f"arn:aws:budgets::{_account()}:budget/{name(service)}"


def find(service: Service) -> MonthlyBudget | None:
    """Return the service's budget, None if there is none; raise StackError if somebody else made it."""
    budgets = aws.client("budgets")
    try:
        found = budgets.describe_budget(AccountId=_account(), BudgetName=name(service))["Budget"]
    except budgets.exceptions.NotFoundException:
        return None
    tags = budgets.list_tags_for_resource(ResourceARN=arn(service)).get("ResourceTags", [])
    if not service.tags().items() <= {one["Key"]: one["Value"] for one in tags}.items():
        raise StackError(
            f"The budget {name(service)} was not made by `provision` (it lacks the tags {service.tags()}), so it is "
            "left alone. Rename or delete it, or choose another --prefix."
        )
    counted = found.get("CalculatedSpend", {})
    spent, forecast = (_amount(counted.get(which)) for which in ("ActualSpend", "ForecastedSpend"))
    limit, tagged = _amount(found.get("BudgetLimit")) or 0.0, bool(found.get("CostFilters"))
    gross = found.get("CostTypes", {}).items() >= _GROSS.items()
    return MonthlyBudget(service, limit, tagged, gross, spent, forecast)


def remove(service: Service) -> bool:
    """Delete the service's budget; return whether there was one."""
    if find(service) is None:
        return False
    aws.client("budgets").delete_budget(AccountId=_account(), BudgetName=name(service))
    return True


@aws.real_only(otherwise=(None, f"Whether the tag {TAG} is activated for cost allocation is not known here."))
def tag_counts() -> tuple[bool | None, str]:
    """Return whether costs can be filtered by the service's tag, None if unknown, and what follows from it.

    A tag of one's own only filters once somebody has activated it (AWS Billing user guide, "Using user-defined cost
    allocation tags").
    """
    try:
        found = aws.client("ce").list_cost_allocation_tags(Status="Active", TagKeys=[TAG])["CostAllocationTags"]
    except ClientError as error:
        if not remedies.denied_action(error):
            raise
        return None, f"Whether the tag {TAG} is activated for cost allocation can't be read: {_message(error)}"
    return bool(found), (
        f"Activate the tag {TAG} in the Billing console, under Cost allocation tags, and run provision again: then it "
        "counts this service alone."
    )


def create(budget: MonthlyBudget, email: str) -> None:
    """Make a budget that writes to this address."""
    reader = {"SubscriptionType": "EMAIL", "Address": email}
    aws.client("budgets").create_budget(
        AccountId=_account(),
        Budget=_written(budget),
        NotificationsWithSubscribers=[{"Notification": one, "Subscribers": [reader]} for one in NOTIFICATIONS],
        ResourceTags=budget.service.tag_list(),
    )


def _written(budget: MonthlyBudget) -> dict[str, Any]:
    filters = {"CostFilters": {"TagKeyValue": [f"user:{TAG}${budget.service}"]}} if budget.tagged else {}
    limit = {"Amount": f"{budget.dollars:.2f}", "Unit": "USD"}
    kind = {"TimeUnit": "MONTHLY", "BudgetType": "COST", "CostTypes": _GROSS}
    return {"BudgetName": name(budget.service), "BudgetLimit": limit, **kind, **filters}


def _amount(spend: dict[str, str] | None) -> float | None:
    return float(spend["Amount"]) if spend else None


def _account() -> str:
    return str(aws.client("sts").get_caller_identity()["Account"])


def _message(error: ClientError) -> str:
    return str(error.response["Error"].get("Message", error))
