"""Estimate what the service has cost since the first of the month, or read what AWS has billed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botsite import aws, roles
from botsite.roles import Role
from deploy import account_plan, background, budget, costs, stacks
from deploy.cfn import template
from deploy.cfn.cloudformation import Stack
from deploy.costs import Cost, Resources
from deploy.doctor.failures import not_known
from deploy.operate import hours
from deploy.service import Service
from metrics import machine_types
from metrics.health.findings import Finding, Health, ok, unless_emulated
from metrics.machine_types import MachineType

_BUDGET_SECONDS = 3.5
NOT_INCLUDED = "requests, storage and traffic of the photos, CPU credits, taxes"


@dataclass(frozen=True)
class Spent:
    """Costs since a time, a line each. `unknown` are instance types without a price here."""

    since: datetime
    lines: tuple[Cost, ...]
    unknown: tuple[str, ...] = ()

    @property
    def dollars(self) -> float:
        """Return what they come to."""
        return sum(line.dollars for line in self.lines)


def first_of_month(now: datetime) -> datetime:
    """Return the moment from which AWS's bill counts."""
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def estimate(service: Service, now: datetime) -> Spent:
    """Return the machine-hours since the first of the month x list prices, and the share of what costs by the month."""
    deployed = stacks.complete(service)
    since = max(first_of_month(now), *(stack.created or first_of_month(now) for stack in deployed.values()))
    spent = hours.read_hours(service, since, now)
    types = {role: deployed[role.part].parameters[role.type_parameter] for role in spent}
    made = {part: _made(service, part, stack) for part, stack in deployed.items()}
    machines = [_machines(role, types[role], spent[role], made[role.part]) for role in spent]
    standing = [_share(line, (now - since).total_seconds()) for line in _standing(service, made)]
    unknown = sorted({name for name in types.values() if name not in machine_types.TYPES})
    return Spent(since, (*machines, *standing), tuple(unknown))


def billed(service: Service, now: datetime) -> Spent:
    """Ask Cost Explorer, at $0.01 a call, for what carries the service's tag, by AWS's services."""
    unless_emulated("the local AWS sends no bills")
    since = first_of_month(now)
    answer = aws.client("ce").get_cost_and_usage(
        # The end is exclusive.
        TimePeriod={"Start": f"{since:%Y-%m-%d}", "End": f"{now + timedelta(days=1):%Y-%m-%d}"},
        Granularity="MONTHLY",
        Metrics=["UnblendedCost"],
        Filter={"Tags": {"Key": "Project", "Values": [service.prefix]}},
        GroupBy=[{"Type": "DIMENSION", "Key": "SERVICE"}],
    )
    dollars: dict[str, float] = {}
    for group in (one for month in answer["ResultsByTime"] for one in month["Groups"]):
        name = group["Keys"][0]
        dollars[name] = dollars.get(name, 0.0) + float(group["Metrics"]["UnblendedCost"]["Amount"])
    return Spent(since, tuple(Cost(name, amount, "billed") for name, amount in dollars.items()))


def budgeted(service: Service) -> str:
    """Return the budget and what is spent of it, or why it isn't known; empty if there is none."""
    read = {"budget": lambda: ok(budget.spending(service))}
    return background.gather(read, _BUDGET_SECONDS, not_known)["budget"].seen


def credit(service: Service) -> str:
    """Return how long the account's credits last, or why that isn't known; empty if it doesn't end with them."""
    read = {"credit": lambda: account_plan.read_credit(service)}
    found = background.gather(read, _BUDGET_SECONDS, not_known)["credit"]
    return "" if found.state is Health.OK else found.text


def so_far(service: Service) -> Finding[Any]:
    """Return the estimate as a line of the status."""
    spent = estimate(service, datetime.now(UTC))
    text = f"about ${spent.dollars:.2f} since {spent.since:%Y-%m-%d}, at list prices of {machine_types.AS_OF}"
    return ok(text, as_dict(spent))


def as_dict(spent: Spent) -> Mapping[str, object]:
    """Return it for JSON."""
    lines = [asdict(line) for line in spent.lines]
    return {"since": spent.since.isoformat(), "dollars": round(spent.dollars, 4), "lines": lines}


def _made(service: Service, part: str, stack: Stack) -> Resources:
    """Return what the deployed stack of a part consists of."""
    text = template.read(stacks.TEMPLATES / f"{part}.yaml")
    return costs.resources(text, text.names({**stack.parameters, "Prefix": service.prefix}))


def _machines(role: Role, type_: str, machine_hours: float, made: Resources) -> Cost:
    """Return the cost of a role's machines, without the CPU credits that T3 machines may have needed."""
    disk = costs.disk(made)
    machine = machine_types.TYPES.get(type_) or MachineType(type_, 0)
    dollars = machine.dollars(machine_hours * 3600, 0, disk)
    return Cost(role.name, dollars, f"{machine_hours:.1f} h of {type_} with its address and {disk} GB")


def _standing(service: Service, made: Mapping[str, Resources]) -> list[Cost]:
    """Return what a month of the deployed stacks costs without machines."""
    groups = {role.group(service) for role in roles.ROLES}
    return [line for line in costs.idle_month(list(made.values())) if line.what not in groups]


def _share(line: Cost, seconds: float) -> Cost:
    return Cost(line.what, line.dollars * seconds / costs.SECONDS_A_MONTH, line.how)
