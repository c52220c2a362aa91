"""Tell what happened to the service: its machines, stacks and images, and what operators did."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile
from typing import Any

from botsite import aws, roles
from deploy import background, stacks
from deploy.cfn import cloudformation
from deploy.cfn.cloudformation import Stack
from deploy.doctor.failures import not_known
from deploy.images import ami
from deploy.images.ami import Image
from deploy.operate.log_lines import LogLine, WantedLines, values
from deploy.operate.logs import roles_logs
from deploy.service import Service
from metrics.health.events import Event, newest_first, of_machines
from metrics.health.findings import Finding, known

SECONDS = 30.0
_LOGGED = ("operator_acts", "operator_refused", "service_paused", "service_resumed", "machine_leaving")
# Every process tells of a pause.
_OF_EVERY_PROCESS = timedelta(minutes=1)


def read_events(service: Service, since: datetime) -> dict[str, Finding[list[Event]]]:
    """Read what happened since a time, by kind; one that can't be read says why, and hides no other."""
    groups = {role.name: role.group(service) for role in roles.ROLES}
    asked = {
        "machines": partial(of_machines, groups, since),
        "stacks": partial(_of_stacks, service, since),
        "images": partial(_of_images, service, since),
        "operators": partial(_of_logs, service, since),
    }
    return background.gather({name: partial(_known, read) for name, read in asked.items()}, SECONDS, not_known)


def _known(read: partial[list[Event]]) -> Finding[list[Event]]:
    return known(read())


def _of_stacks(service: Service, since: datetime) -> list[Event]:
    found = [stack for stack in stacks.find_all(service).values() if stack]
    return [event for stack in found for event in _of_stack(stack, since)]


def _of_stack(stack: Stack, since: datetime) -> Iterator[Event]:
    """Yield how each operation on the stack ended, and that one is running."""
    of_stack = [one for one in _recorded(stack, since) if one.get("PhysicalResourceId") == stack.id]
    for number, one in enumerate(of_stack):
        status = one["ResourceStatus"]
        if number == 0 or not status.endswith("_IN_PROGRESS"):
            who = cloudformation.author(one.get("ClientRequestToken", ""))
            why = one.get("ResourceStatusReason", "")
            text = " ".join(filter(None, (stack.name, status, f"by {who}" if who else "", f"({why})" if why else "")))
            yield Event(one["Timestamp"], "stacks", text, failed="FAILED" in status or "ROLLBACK" in status)


def _recorded(stack: Stack, since: datetime) -> Iterator[dict[str, Any]]:
    pages = aws.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack.id)
    every = (one for page in pages for one in page["StackEvents"])
    return takewhile(lambda one: one["Timestamp"] >= since, every)


def _of_images(service: Service, since: datetime) -> list[Event]:
    found = [event for role, images in ami.by_role(service).items() for one in images for event in _of_image(role, one)]
    return [event for event in found if event.at >= since]


def _of_image(role: str, image: Image) -> Iterator[Event]:
    if image.created:
        yield Event(datetime.fromisoformat(image.created), "images", f"{role} {image.version} baked ({image.id})")
    if image.withdrawn:
        who = image.tags.get(ami.WITHDRAWN_BY, "").rpartition(":")[2] or "somebody"
        at = datetime.fromisoformat(image.tags[ami.WITHDRAWN])
        yield Event(at, "images", f"{role} rolled back from {image.version} by {who}", failed=True)


def _of_logs(service: Service, since: datetime) -> list[Event]:
    told: dict[str, datetime] = {}
    found = []
    for line in roles_logs(service, WantedLines(roles.ROLES, since, events=_LOGGED)).read():
        text = _sentence(line)
        if text not in told or line.at - told[text] > _OF_EVERY_PROCESS or "operator" in line.fields:
            found.append(Event(line.at, "operators", text, line.event == "operator_refused"))
        told[text] = line.at
    return found


def _sentence(line: LogLine) -> str:
    of_machine = f"{line.source}: " if line.event == "machine_leaving" else ""
    return f"{of_machine}{line.event} {values(line)}".rstrip()


def merged(found: Mapping[str, Finding[list[Event]]]) -> list[Event]:
    """Return the events of all kinds that are known, the newest first."""
    return newest_first(event for one in found.values() for event in one.data or [])
