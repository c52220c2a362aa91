"""Tell what happened to machines: launches, deaths and replacements, as EC2 Auto Scaling or its emulation says."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings

from detection.record import times
from metrics import cloudwatch

# The file of LOG_FOLDER in which the local AWS says what its groups do.
LOCAL = "scaling.log"
# "At 2026-12-04T10:00:00Z an instance was ..." : the time stands next to it.
_WHEN = re.compile(r"At \S+Z ")
# Of one group: a group that fails to launch tries again every few minutes.
_AT_MOST = 200


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one `kind` of things: machines, stacks, images, or by operators."""

    at: datetime
    kind: str
    text: str
    failed: bool = False


def of_machines(groups: Mapping[str, str], since: datetime) -> list[Event]:
    """Return what happened to the machines of these groups, named by role; raise what botocore raises."""
    if settings.LOG_FOLDER:
        return newest_first(_of_file(Path(settings.LOG_FOLDER) / LOCAL, since))
    return newest_first(
        _of_activity(role, activity)
        for role, group in groups.items()
        for activity in islice(cloudwatch.activities(group, since), _AT_MOST)
    )


def newest_first(events: Iterable[Event]) -> list[Event]:
    """Sort events by their time."""
    return sorted(events, key=lambda one: one.at, reverse=True)


def _of_activity(role: str, activity: Mapping[str, Any]) -> Event:
    failed = activity["StatusCode"] == "Failed"
    why = activity.get("StatusMessage") if failed else _cause(activity.get("Cause", ""))
    parts = [activity["Description"].rstrip(". "), why]
    return Event(activity["StartTime"], "machines", f"{role}: {'; '.join(filter(None, parts))}", failed)


def _cause(text: str) -> str:
    """Return the first sentence of AWS's account, which names the cause; the others tell what followed from it."""
    found = _WHEN.split(text)
    return found[1].strip().rstrip(".") if len(found) > 1 else text


def _of_file(path: Path, since: datetime) -> Iterator[Event]:
    for line in reversed(path.read_text().splitlines()) if path.exists() else ():
        stamp, _, text = line.partition(" ")
        if (at := times.parse(stamp)) and at >= since:
            yield Event(at, "machines", text)
