"""What the service has cost since the first of the month: an estimate, and what AWS has billed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from botsite import aws, roles
from botsite.roles import Role
from deploy import budget, costs, stacks
from deploy.cfn import template
from deploy.cfn.cloudformation import Stack
from deploy.costs import Line
from deploy.operate import deployed as stacks_there
from deploy.operate import hours, readings, seen
from deploy.operate.readings import NotKnownHere
from deploy.operate.seen import Seen
from deploy.service import Service
from metrics import machine_types
from metrics.machine_types import MachineType

NOT_INCLUDED = "requests, storage and traffic of the photos, CPU credits, taxes"


@dataclass(frozen=True)
class Spent:
    """Costs since a time, a line each. `unknown` are instance types without a price here."""

    since: datetime
    lines: tuple[Line, ...]
    unknown: tuple[str, ...] = ()

    @property
    def dollars(self) -> float:
        """Return the sum."""
        return sum(line.dollars for line in self.lines)


def first_of_month(now: datetime) -> datetime:
    """Return the moment from which AWS's bill counts."""
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def estimate(service: Service, now: datetime) -> Spent:
    """Return the machine-hours since the first of the month x list prices, and the share of what costs by the month."""
    deployed = stacks_there.complete(service)
    since = max(first_of_month(now), *(stack.created or first_of_month(now) for stack in deployed.values()))
    spent = hours.read(service, since, now)
    types = {role: deployed[role.part].parameters[role.type_parameter] for role in spent}
    machines = [_machines(role, types[role], spent[role]) for role in spent]
    standing = [_share(line, (now - since).total_seconds()) for line in _standing(service, deployed)]
    unknown = sorted({name for name in types.values() if name not in machine_types.TYPES})
    return Spent(since, (*machines, *standing), tuple(unknown))


def billed(service: Service, now: datetime) -> Spent:
    """Ask Cost Explorer, at $0.01 a call, for what carries the service's tag, by AWS's services."""
    if aws.emulated():
        raise NotKnownHere("the local AWS sends no bills")
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
    return Spent(since, tuple(Line(name, amount, "billed") for name, amount in dollars.items()))


def budgeted(service: Service) -> str:
    """Return the budget and what is spent of it, or why it isn't known; empty if there is none."""
    found = readings.read({"budget": partial(budget.spending, service)})["budget"]
    return found.reason if found.value is None else str(found.value)


def so_far(service: Service) -> Seen:
    """Return the estimate as a line of the status."""
    spent = estimate(service, datetime.now(UTC))
    text = f"about ${spent.dollars:.2f} since {spent.since:%Y-%m-%d}, at list prices of {machine_types.AS_OF}"
    return Seen(as_dict(spent), (seen.Line(text),))


def as_dict(spent: Spent) -> Mapping[str, object]:
    """Return it for JSON."""
    lines = [asdict(line) for line in spent.lines]
    return {"since": spent.since.isoformat(), "dollars": round(spent.dollars, 4), "lines": lines}


def _machines(role: Role, type_: str, machine_hours: float) -> Line:
    """Return the cost of a role's machines, without the CPU credits that T3 machines may have needed."""
    disk = role.container.disk_gib
    machine = machine_types.TYPES.get(type_) or MachineType(type_, 0)
    dollars = machine.dollars(machine_hours * 3600, 0, disk)
    return Line(role.name, dollars, f"{machine_hours:.1f} h of {type_} with its address and {disk} GB")


def _standing(service: Service, deployed: Mapping[str, Stack]) -> list[Line]:
    """Return what a month of the deployed stacks costs without machines."""
    texts = {part: template.read(stacks.TEMPLATES / f"{part}.yaml") for part in deployed}
    given = {part: {**deployed[part].parameters, "Prefix": service.prefix} for part in deployed}
    made = [costs.resources(text, text.names(given[part])) for part, text in texts.items()]
    groups = {role.group(service) for role in roles.ROLES}
    return [line for line in costs.idle_month(made) if line.what not in groups]


def _share(line: Line, seconds: float) -> Line:
    return Line(line.what, line.dollars * seconds / costs.SECONDS_A_MONTH, line.how)
