"""Hold a minimum of workers for a while, and say what that costs."""

from datetime import datetime

from botsite.roles import YOLO5
from deploy.cfn import hold
from deploy.cfn.cloudformation import StackError
from deploy.cfn.hold import Hold
from deploy.operate import operators
from deploy.service import Service
from metrics import cloudwatch
from metrics.cloudwatch import Group
from metrics.machine_types import TYPES


def begin(service: Service, minimum: int, until: datetime) -> Hold:
    """Hold at least `minimum` workers; raise StackError if that is above the maximum, or would not be set back."""
    group = workers(service)
    if minimum > group.maximum:
        raise StackError(
            f"--min {minimum} is above MaxWorkers, which is {group.maximum}. Raise it first: python manage.py "
            f"provision --prefix {service} --parameter MaxWorkers={minimum}"
        )
    if "ScheduledActions" in group.suspended:
        raise StackError(
            f"{group.name} would not be set back: its process ScheduledActions is suspended. Resume it first: aws "
            f"autoscaling resume-processes --auto-scaling-group-name {group.name}"
        )
    return hold.begin(group, minimum, until, operators.caller())


def end(service: Service) -> Hold | None:
    """Let the workers go; return what held them, None if nothing did."""
    return hold.end(workers(service).name)


def dollars_an_hour(service: Service, machines: int) -> float | None:
    """Return what idle workers cost an hour, by list prices; None for a type without a price here."""
    kind = TYPES.get(service.stack("workers").parameters["WorkerType"])
    return machines * kind.dollars(3600, busy_seconds=0) if kind else None


def workers(service: Service) -> Group:
    """Return the workers' group; raise StackError without one."""
    name = YOLO5.group(service)
    if not (group := cloudwatch.groups(name).get(name)):
        raise StackError(f"The group {name} is missing: run python manage.py provision --prefix {service}")
    return group
