"""What an acceptance run is asked to do, whether its prefix is free, and what it will cost."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from botsite import aws, roles
from deploy import costs, stacks, teardown
from deploy.certificates import choice
from deploy.cfn import remedies
from deploy.costs import Cost
from deploy.images.spec import ImageSpec
from deploy.provision import Order
from deploy.service import Service
from metrics.machine_types import HOURS_A_MONTH, TYPES, MachineType

# How long it takes on AWS, three bakes included: what costs by the hour is estimated for that.
HOURS = 2.0
# The burst, and the one in which a worker is killed; and some single photos.
_BURSTS, _SINGLE = 2, 50
_BAKE_HOURS = 0.25
# Where names begin with the prefix: the service, the call that lists them, and how they begin.
_NAMED = {
    "stack": ("cloudformation", "describe_stacks", "Stacks[].StackName", "{}-"),
    "bucket": ("s3", "list_buckets", "Buckets[].Name", "{}-"),
    "log group": ("logs", "describe_log_groups", "logGroups[].logGroupName", "/{}/"),
    "secret": ("secretsmanager", "list_secrets", "SecretList[].Name", "{}/"),
    "queue": ("sqs", "list_queues", "QueueUrls[]", "{}-"),
    "table": ("dynamodb", "list_tables", "TableNames[]", "{}-"),
    "Auto Scaling group": (
        "autoscaling",
        "describe_auto_scaling_groups",
        "AutoScalingGroups[].AutoScalingGroupName",
        "{}-",
    ),
}
# A secret that is about to be deleted has its name until then. SQS lists its first thousand, unless asked by pages.
_MORE: Mapping[str, Mapping[str, Any]] = {
    "secret": {"IncludePlannedDeletion": True},
    "queue": {"PaginationConfig": {"PageSize": 1000}},
}


class AcceptanceError(Exception):
    """The run can't begin; the text says why and what to do."""


@dataclass(frozen=True)
class AcceptanceOptions:
    """What the operator asks for.

    `local` starts a local AWS for the run. Without `bot`, jobs are put into the queue and nobody is answered; with one
    on AWS, `token` is its token, and photos come from `chat_ids`. `only` names the steps to run, empty for all.
    """

    prefix: str
    out: Path
    photos: int = 300
    local: bool = False
    keep: bool = False
    bot: bool = True
    token: str = field(default="", repr=False)
    chat_ids: tuple[int, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    only: frozenset[str] = frozenset()


def new_prefix() -> str:
    """Return a prefix that nobody has."""
    return f"objdet-try-{secrets.token_hex(2)}"


def refuse_taken(service: Service) -> list[str]:
    """Raise AcceptanceError if anything has a name or the tags of the service; return what can't be looked for."""
    found, denied = [], []
    for kind in (*_NAMED, "resource"):
        try:
            found += [f"{kind} {name}" for name in existing(service, kind)]
        except ClientError as error:
            if not (action := remedies.denied_action(error)):
                raise
            denied.append(f"these credentials lack {action}: nobody looked for a {kind} of {service}")
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise AcceptanceError(
            f"The prefix {service} is taken: {', '.join(found[:3])}{more}. An acceptance run only uses one that nobody "
            "has: leave --prefix out, or choose another."
        )
    return denied


def existing(service: Service, kind: str) -> list[str]:
    """Return the names of what exists of a kind ("stack", "bucket") under the prefix; a "resource" has its tags."""
    if kind == "resource":
        return list(teardown.existing(service))
    client, operation, names, beginning = _NAMED[kind]
    pages = aws.client(client).get_paginator(operation).paginate(**_MORE.get(kind, {}))
    # A queue's name is the end of its address.
    return [one for one in pages.search(names) if one and _name(kind, one).startswith(beginning.format(service))]


def _name(kind: str, listed: str) -> str:
    return listed.rpartition("/")[2] if kind == "queue" else listed


def cost(order: Order, photos: int) -> list[Cost]:
    """Return what a run costs if it takes HOURS, and all workers that it may have are busy for half of that."""
    given = values(order)
    worker, number = given["WorkerType"], int(float(given["MaxWorkers"]))
    baker = order.bake_type or ImageSpec(roles.YOLO5.short, "").machine
    seconds = HOURS / 2 * 3600
    count, bakes = _BURSTS * photos + _SINGLE, len(roles.ROLES)
    of_photos = sum(one.dollars for one in costs.thousand_photos(worker, 1) if one.what != "a worker")
    busy = f"{number} {worker}, busy for {HOURS / 2:g} h"
    return [
        Cost("what runs all the time", hour(order) * HOURS, f"{HOURS:g} h"),
        Cost("workers", number * _type(worker).dollars(seconds, seconds), busy),
        Cost("bakes", bakes * _type(baker).dollars(_BAKE_HOURS * 3600, 0), f"{bakes} by a {baker}"),
        Cost("photos", of_photos * count / 1000, f"{count}"),
    ]


def hour(order: Order) -> float:
    """Return what an hour of the service costs without photos, in US dollars."""
    planned = stacks.planned(order.service, {**order.values, **choice.planned(order.service, order.way)})
    month = costs.idle_month([costs.resources(template, given) for template, given in planned])
    return sum(one.dollars for one in month) / HOURS_A_MONTH


def values(order: Order) -> dict[str, str]:
    """Return the template parameters that the order makes."""
    return {name: value for _, given in stacks.planned(order.service, order.values) for name, value in given.items()}


def _type(name: str) -> MachineType:
    return TYPES.get(name) or MachineType(name, 0)
