"""Machine-hours since the first of the month, from what the Auto Scaling groups did."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botsite import roles
from botsite.roles import Role
from deploy.service import Service
from metrics import cloudwatch
from metrics.health.findings import unless_emulated

# EC2 Auto Scaling's own words, "Launching a new EC2 instance: i-0123", "Terminating EC2 instance: i-0123".
_DONE = re.compile(r"(?P<what>Launching|Attaching|Terminating|Detaching)\b(?P<how>.*?)(?P<id>i-[0-9a-f]+)")
_BEGINS = ("Launching", "Attaching")
# Such a machine boots once and is stopped, which ends its hours.
_TO_POOL = "into warm pool"


@dataclass(frozen=True)
class Activity:
    """A machine's launch or end. `at` is when a launch begins and when an end is over."""

    begins: bool
    machine: str
    at: datetime


def read_hours(service: Service, since: datetime, now: datetime) -> dict[Role, float]:
    """Return the machine-hours of each role from `since` until now."""
    groups = cloudwatch.groups(*(role.group(service) for role in roles.ROLES))
    did = {
        role: [one for activity in cloudwatch.activities(role.group(service), since) for one in parse(activity, now)]
        for role in roles.ROLES
    }
    if not any(did.values()):
        unless_emulated("the local AWS keeps no activities of its groups, and costs nothing")
    found = {role: groups.get(role.group(service)) for role in roles.ROLES}
    running = {role: {one.id for one in group.instances} if group else set() for role, group in found.items()}
    return {role: total(did[role], running[role], since, now) for role in roles.ROLES}


def total(activities: Iterable[Activity], running: Collection[str], since: datetime, now: datetime) -> float:
    """Return the hours of machines that began and ended so, of which some are running. One may do so several times."""
    done = sorted(activities, key=lambda one: one.at)
    seconds = 0.0
    for machine in {*running, *(one.machine for one in done)}:
        of_it = [one for one in done if one.machine == machine]
        # One whose first activity is its end was there before; so was one that runs without any.
        begun = since if not of_it or not of_it[0].begins else None
        for one in of_it:
            if one.begins:
                begun = begun or one.at
            elif begun:
                seconds += (one.at - begun).total_seconds()
                begun = None
        seconds += (now - begun).total_seconds() if begun else 0
    return seconds / 3600


def parse(activity: Mapping[str, Any], now: datetime) -> list[Activity]:
    """Return what an activity, as AWS describes it, did to a machine; nothing if it failed."""
    found = _DONE.match(activity["Description"])
    if not found or activity["StatusCode"] in ("Failed", "Cancelled"):
        return []
    machine, end = found["id"], Activity(False, found["id"], activity.get("EndTime", now))
    if found["what"] not in _BEGINS:
        return [end]
    begin = Activity(True, machine, activity["StartTime"])
    return [begin, end] if _TO_POOL in found["how"] else [begin]
