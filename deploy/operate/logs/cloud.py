"""Read log lines from CloudWatch Logs."""

import heapq
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from botsite import aws
from botsite.roles import Role
from deploy.operate.logs import entries
from deploy.operate.logs.entries import Entry, Source, Wanted
from deploy.service import Service

# FilterLogEvents may be called five times a second in an account; this is one call a role.
POLL_SECONDS = 2.0
# A line arrives some seconds after it was written, and lines of several machines overtake each other.
_LATE = timedelta(seconds=20)


class CloudLogs:
    """The log groups of a service."""

    def __init__(self, service: Service, wanted: Wanted) -> None:
        self._service, self._wanted = service, wanted
        self._seen: dict[str, datetime] = {}
        self._newest = wanted.since

    def read(self) -> Iterator[Entry]:
        """Yield the lines that are new since the last call, by their time; the first call starts where it is wanted."""
        start = max(self._wanted.since, self._newest - _LATE)
        self._seen = {key: at for key, at in self._seen.items() if at >= start}
        roles = [self._of_role(role, start) for role in self._wanted.roles]
        for key, entry in heapq.merge(*roles, key=lambda pair: pair[1].at):
            if key not in self._seen:
                self._seen[key] = entry.at
                self._newest = max(self._newest, entry.at)
                yield entry

    def _of_role(self, role: Role, start: datetime) -> Iterator[tuple[str, Entry]]:
        asked = {"logGroupName": role.log_group(self._service), "startTime": int(start.timestamp() * 1000)}
        if text := pattern(self._wanted):
            asked["filterPattern"] = text
        for page in aws.client("logs").get_paginator("filter_log_events").paginate(**asked):
            for event in page["events"]:
                entry = _entry(event, role)
                if entry and self._wanted.takes(entry):
                    yield f"{event['logStreamName']} {event.get('eventId') or event}", entry


def pattern(wanted: Wanted) -> str:
    """Return the filter by which CloudWatch sends no more than is wanted; empty for everything."""
    levels = " || ".join(f'$.level = "{level}"' for level in wanted.levels)
    photo = f'$.prediction_id = "{wanted.prediction_id}"' if wanted.prediction_id else ""
    conditions = [one for one in (f"({levels})" if levels else "", photo) if one]
    return f"{{ {' && '.join(conditions)} }}" if conditions else ""


def _entry(event: dict[str, Any], role: Role) -> Entry | None:
    at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    return entries.parse(event["message"], Source(role, event["logStreamName"]), at)
