"""Machine-hours since the first of the month, from what the Auto Scaling groups did."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botsite import aws
from deploy.operate.readings import NotKnownHere
from deploy.operate.roles import ROLES, Role
from deploy.service import Service
from metrics import cloudwatch

# EC2 Auto Scaling's own words, "Launching a new EC2 instance: i-0123", "Terminating EC2 instance: i-0123".
_DONE = re.compile(r"(?P<what>Launching|Attaching|Terminating|Detaching)\b.*?(?P<id>i-[0-9a-f]+)")
_BEGINS = ("Launching", "Attaching")


@dataclass(frozen=True)
class Activity:
    """A machine's launch or end. `at` is when a launch begins and when an end is over."""

    begins: bool
    machine: str
    at: datetime


def read(service: Service, since: datetime, now: datetime) -> dict[Role, float]:
    """Return the machine-hours of each role from `since` until now. AWS keeps activities for six weeks."""
    groups = cloudwatch.groups(*(role.group(service) for role in ROLES))
    did = {role: list(_activities(role.group(service), since, now)) for role in ROLES}
    if aws.emulated() and not any(did.values()):
        raise NotKnownHere("the local AWS keeps no activities of its groups, and costs nothing")
    running = {role: groups[role.group(service)].instances if role.group(service) in groups else () for role in ROLES}
    return {role: total(did[role], {one.id for one in running[role]}, since, now) for role in ROLES}


def total(activities: Iterable[Activity], running: Iterable[str], since: datetime, now: datetime) -> float:
    """Return the hours of machines that began and ended so, of which some are running."""
    begun: dict[str, datetime] = {}
    ended: dict[str, datetime] = {}
    for one in activities:
        (begun if one.begins else ended)[one.machine] = one.at
    # One without a launch in these weeks was there before them; one without an end is still there.
    machines = {*begun, *ended, *running}
    spans = [(max(begun.get(name, since), since), ended.get(name, now)) for name in machines]
    return sum(max((end - start).total_seconds(), 0.0) for start, end in spans) / 3600


def parse(activity: Mapping[str, Any], now: datetime) -> Activity | None:
    """Return what an activity, as AWS describes it, did to a machine; None if it did nothing or failed."""
    found = _DONE.match(activity["Description"])
    if not found or activity["StatusCode"] in ("Failed", "Cancelled"):
        return None
    begins = found["what"] in _BEGINS
    return Activity(begins, found["id"], activity["StartTime"] if begins else activity.get("EndTime", now))


def _activities(group: str, since: datetime, now: datetime) -> Iterator[Activity]:
    """Yield what happened since a time; AWS gives the newest first."""
    pages = aws.client("autoscaling").get_paginator("describe_scaling_activities").paginate(AutoScalingGroupName=group)
    for activity in (one for page in pages for one in page["Activities"]):
        if activity["StartTime"] < since:
            return
        if found := parse(activity, now):
            yield found
