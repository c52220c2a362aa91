"""Read and write a service's budget in AWS Budgets."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from botsite import aws
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
WHEN = "at 80 % spent, and when the forecast for the month is above 100 %"


@dataclass(frozen=True)
class Budget:
    """A budget of a service, in US dollars a month.

    `tagged`: it counts what carries the service's tag, else the whole account. `spent` and `forecast` are what AWS has
    counted this month, None if it doesn't know yet.
    """

    service: Service
    dollars: float
    tagged: bool
    spent: float | None = None
    forecast: float | None = None

    def __str__(self) -> str:
        counted = f"what carries the tag {TAG}={self.service}" if self.tagged else "the whole account"
        return f"US$ {self.dollars:,.2f} a month for {counted}"


def name(service: Service) -> str:
    """Return the name of the service's budget, which all regions of an account share."""
    return f"{service}-monthly"


def arn(service: Service) -> str:
    """Return the ARN of the service's budget, whether it exists or not."""
    return f"arn:aws:budgets::{_account()}:budget/{name(service)}"


def find(service: Service) -> Budget | None:
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
    return Budget(service, _amount(found.get("BudgetLimit")) or 0.0, bool(found.get("CostFilters")), spent, forecast)


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


def create(budget: Budget, email: str) -> None:
    """Make a budget that writes to this address."""
    aws.client("budgets").create_budget(
        AccountId=_account(),
        Budget=_written(budget),
        NotificationsWithSubscribers=[
            {"Notification": one, "Subscribers": [_subscriber(email)]} for one in NOTIFICATIONS
        ],
        ResourceTags=budget.service.tag_list(),
    )


def update(budget: Budget) -> None:
    """Change the amount and what it counts."""
    aws.client("budgets").update_budget(AccountId=_account(), NewBudget=_written(budget))


def _written(budget: Budget) -> dict[str, Any]:
    filters = {"CostFilters": {"TagKeyValue": [f"user:{TAG}${budget.service}"]}} if budget.tagged else {}
    limit = {"Amount": f"{budget.dollars:.2f}", "Unit": "USD"}
    kind = {"TimeUnit": "MONTHLY", "BudgetType": "COST"}
    return {"BudgetName": name(budget.service), "BudgetLimit": limit, **kind, **filters}


def mail_to(service: Service, email: str) -> list[str]:
    """Have both notifications mail this address alone; topics that somebody added are left alone."""
    if not email:
        return []
    changed = [one for one in NOTIFICATIONS if _tell(service, one, email)]
    return [f"AWS writes to {email} {WHEN}."] if changed else []


def _tell(service: Service, notification: dict[str, Any], email: str) -> bool:
    """Return whether anything had to change."""
    budgets, which = aws.client("budgets"), {"AccountId": _account(), "BudgetName": name(service)}
    try:
        pages = budgets.get_paginator("describe_subscribers_for_notification").paginate(
            **which, Notification=notification
        )
        told = {one["Address"] for page in pages for one in page["Subscribers"] if one["SubscriptionType"] == "EMAIL"}
    except budgets.exceptions.NotFoundException:
        budgets.create_notification(**which, Notification=notification, Subscribers=[_subscriber(email)])
        return True
    # The new one first: with its last subscriber, a notification is deleted too.
    if email not in told:
        budgets.create_subscriber(**which, Notification=notification, Subscriber=_subscriber(email))
    for other in told - {email}:
        budgets.delete_subscriber(**which, Notification=notification, Subscriber=_subscriber(other))
    return told != {email}


def _subscriber(email: str) -> dict[str, str]:
    return {"SubscriptionType": "EMAIL", "Address": email}


def _amount(spend: dict[str, str] | None) -> float | None:
    return float(spend["Amount"]) if spend else None


def _account() -> str:
    return str(aws.client("sts").get_caller_identity()["Account"])


def _message(error: ClientError) -> str:
    return str(error.response["Error"].get("Message", error))
