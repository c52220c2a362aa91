"""Read the roles' log lines from CloudWatch Logs, or from the files of the local AWS, one a process."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings

from botsite import aws
from botsite.roles import Role
from deploy.operate import log_lines
from deploy.operate.log_lines import LogLine, Source, WantedLines
from deploy.service import Service

# A line arrives some seconds after it was written, and lines of several machines overtake each other.
_LATE = timedelta(seconds=20)


class CloudLogs:
    """The log groups of a service."""

    # FilterLogEvents may be called five times a second in an account; this is one call a role.
    poll_seconds = 2.0

    def __init__(self, service: Service, wanted: WantedLines) -> None:
        self._service, self._wanted = service, wanted
        self._seen: dict[str, datetime] = {}
        self._newest = wanted.since

    def read(self) -> Iterator[LogLine]:
        """Yield the lines that are new since the last call, by their time; the first call starts where it is wanted."""
        start = max(self._wanted.since, self._newest - _LATE)
        self._seen = {key: at for key, at in self._seen.items() if at >= start}
        roles = [self._of_role(role, start) for role in self._wanted.roles]
        for key, entry in heapq.merge(*roles, key=lambda pair: pair[1].at):
            if key not in self._seen:
                self._seen[key] = entry.at
                self._newest = max(self._newest, entry.at)
                yield entry

    def _of_role(self, role: Role, start: datetime) -> Iterator[tuple[str, LogLine]]:
        asked = {"logGroupName": role.log_group(self._service), "startTime": int(start.timestamp() * 1000)}
        if text := pattern(self._wanted):
            asked["filterPattern"] = text
        for page in aws.client("logs").get_paginator("filter_log_events").paginate(**asked):
            for event in page["events"]:
                entry = _entry(event, role)
                if entry and self._wanted.takes(entry):
                    yield f"{event['logStreamName']} {event.get('eventId') or event}", entry


def pattern(wanted: WantedLines) -> str:
    """Return the filter by which CloudWatch sends no more than is wanted; empty for everything."""
    levels = " || ".join(f'$.level = "{level}"' for level in wanted.levels)
    events = " || ".join(f'$.event = "{event}"' for event in wanted.events)
    photo = f'$.prediction_id = "{wanted.prediction_id}"' if wanted.prediction_id else ""
    conditions = [one for one in (f"({levels})" if levels else "", f"({events})" if events else "", photo) if one]
    return f"{{ {' && '.join(conditions)} }}" if conditions else ""


def _entry(event: dict[str, Any], role: Role) -> LogLine | None:
    at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    return log_lines.parse_line(event["message"], Source(role, event["logStreamName"]), at)


@dataclass
class _Read:
    """The part of a file that was read, and the time of its last line that has one."""

    offset: int = 0
    at: datetime | None = None


class FileLogs:
    """The files of a folder that are named after a role and a machine."""

    poll_seconds = 0.3

    def __init__(self, folder: Path, wanted: WantedLines) -> None:
        self._folder, self._wanted = folder, wanted
        self._places: dict[Path, _Read] = {}

    def read(self) -> Iterator[LogLine]:
        """Yield the lines that are new since the last call, by their time."""
        found = [entry for role in self._wanted.roles for entry in self._of_role(role)]
        yield from sorted(filter(self._wanted.takes, found), key=lambda entry: entry.at)

    def _of_role(self, role: Role) -> Iterator[LogLine]:
        for path in sorted([*self._folder.glob(f"{role.short}.log"), *self._folder.glob(f"{role.short}-*.log")]):
            source = Source(role, path.stem.partition("-")[2])
            place = self._places.setdefault(path, _Read())
            for line in _lines(path, place):
                # A line without a time of its own is as old as the one before.
                at = place.at or datetime.fromtimestamp(path.stat().st_mtime, UTC)
                if entry := log_lines.parse_line(line, source, at):
                    place.at = entry.at
                    yield entry


def _lines(path: Path, place: _Read) -> list[str]:
    """Return the whole lines that are new."""
    with path.open("rb") as file:
        file.seek(place.offset)
        whole, newline, _ = file.read().rpartition(b"\n")
    place.offset += len(whole) + len(newline)
    return whole.decode(errors="replace").splitlines()


def roles_logs(service: Service, wanted: WantedLines) -> FileLogs | CloudLogs:
    """Return the logs of the service, where it has them."""
    return FileLogs(Path(settings.LOG_FOLDER), wanted) if settings.LOG_FOLDER else CloudLogs(service, wanted)
