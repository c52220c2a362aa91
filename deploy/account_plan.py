"""What AWS's Free Plan leaves of an account's credits: when they end, AWS closes the account."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botsite import aws
from deploy import costs, stacks
from deploy.service import Service
from metrics.health.findings import Finding, ok, only_on_aws, warning

BILLING = "https://console.aws.amazon.com/billing"
_DAYS_A_MONTH = 365 / 12


@dataclass(frozen=True)
class AccountPlan:
    """An account's plan; `dollars` of credit are left until `ends`, None where AWS doesn't say."""

    free: bool
    dollars: float | None = None
    ends: datetime | None = None

    def told(self, month: float) -> str:
        """Return a sentence on how long the credits last, at so many dollars a month."""
        until = f", until {self.ends:%Y-%m-%d}" if self.ends else ""
        if self.dollars is None:
            return f"Its credits pay for the service{until}; then AWS closes the account, unless you upgrade it"
        days = self.dollars / month * _DAYS_A_MONTH
        return (
            f"US$ {self.dollars:.0f} of credit{until}: about {days:.0f} days of this service without photos; then AWS "
            "closes the account, unless you upgrade it"
        )


@aws.real_only(otherwise=None)
def account_plan() -> AccountPlan | None:
    """Return the account's plan; None for accounts from before July 2025, which have none."""
    client = aws.client("freetier")
    try:
        state = client.get_account_plan_state()
    except client.exceptions.ResourceNotFoundException:
        return None
    credit = state.get("accountPlanRemainingCredits", {}).get("amount")
    return AccountPlan(state["accountPlanType"] == "FREE", credit, state.get("accountPlanExpirationDate"))


def month(service: Service, values: Mapping[str, str] | None = None) -> float:
    """Return what a month of the service without photos costs, with what is deployed or asked for, in US dollars."""
    planned = stacks.planned(service, values)
    return sum(one.dollars for one in costs.idle_month([costs.resources(*one) for one in planned]))


@only_on_aws("plan of the account")
def read_credit(service: Service) -> Finding[Any]:
    """Say for how many days the account's credits last, if it closes at their end."""
    plan = account_plan()
    if plan is None or not plan.free:
        return ok("the account is not on the Free Plan, so it doesn't close when credits end")
    return warning(f"{plan.told(month(service))}.", f"Upgrade it in time: {BILLING}")
