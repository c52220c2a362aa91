"""A minimum that an operator gives a group for a while: the one intended difference from its template.

The scheduled action that sets it back is the only record of it. Its name says who wants how many machines, its time
until when, its MinSize what was there before. EC2 Auto Scaling deletes it once it is done.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botsite import aws
from metrics.cloudwatch import Group

_NAME = re.compile(r"hold (?P<minimum>\d+) by (?P<by>.+)")
# The EC2 Auto Scaling guide: an action may be carried out up to two minutes late.
_LATE = timedelta(minutes=3)
# A name has 255 characters.
_LONGEST_BY = 200


@dataclass(frozen=True, slots=True)
class Hold:
    """A group has at least `minimum` machines until a time; then again `before`. `by` is the end of an ARN."""

    group: str
    name: str
    minimum: int
    by: str
    until: datetime
    before: int

    def __str__(self) -> str:
        day = "" if self.until.date() == datetime.now(UTC).date() else f"{self.until:%Y-%m-%d} "
        return f"held at {self.minimum} by {self.by} until {day}{self.until:%H:%M} UTC"


def read(group: str) -> Hold | None:
    """Return what holds a group, None if nothing does."""
    now = datetime.now(UTC)
    return max((one for one in _every(group) if one.until > now - _LATE), key=lambda one: one.until, default=None)


def begin(group: Group, minimum: int, until: datetime, by: str) -> Hold:
    """Hold a group at `minimum` machines until a time, in place of another hold.

    What sets it back comes first, so that no interruption leaves machines running.
    """
    others = list(_every(group.name))
    before = others[0].before if others else group.minimum
    who = by.rpartition(":")[2][:_LONGEST_BY]
    made = Hold(group.name, f"hold {minimum} by {who}", minimum, who, until, before)
    where = {"AutoScalingGroupName": group.name, "ScheduledActionName": made.name}
    aws.client("autoscaling").put_scheduled_update_group_action(**where, StartTime=until, MinSize=before)
    for one in others:
        if one.name != made.name:
            _delete(one)
    # A group below its minimum is raised by AWS.
    _set(group.name, minimum)
    return made


def end(group: str) -> Hold | None:
    """Set a group's minimum back now; return what held it, None if nothing did."""
    found = list(_every(group))
    for one in found:
        _set(group, one.before)
        _delete(one)
    return max(found, key=lambda one: one.until, default=None)


def keep(group: Group) -> Hold | None:
    """Raise a group's minimum again that a deployment has set back; return what holds the group."""
    found = read(group.name)
    if found and group.minimum == found.before != (minimum := min(found.minimum, group.maximum)):
        _set(group.name, minimum)
    return found


def intended(group: str, minimum: int, maximum: int) -> int:
    """Return the minimum that a group has but for its hold; one that somebody has set meanwhile stays as it is."""
    found = read(group)
    return found.before if found and minimum == min(found.minimum, maximum) else minimum


def _every(group: str) -> Iterator[Hold]:
    pages = aws.client("autoscaling").get_paginator("describe_scheduled_actions").paginate(AutoScalingGroupName=group)
    for action in (one for page in pages for one in page["ScheduledUpdateGroupActions"]):
        if found := _NAME.fullmatch(action["ScheduledActionName"]):
            yield _hold(action, found)


def _hold(action: Mapping[str, Any], name: re.Match[str]) -> Hold:
    group, called = action["AutoScalingGroupName"], action["ScheduledActionName"]
    return Hold(group, called, int(name["minimum"]), name["by"], action["StartTime"], action["MinSize"])


def _set(group: str, minimum: int) -> None:
    aws.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=group, MinSize=minimum)


def _delete(one: Hold) -> None:
    aws.client("autoscaling").delete_scheduled_action(AutoScalingGroupName=one.group, ScheduledActionName=one.name)
