"""Let each machine say in the predictions table what it does, and read what the machines said.

EC2 knows when a machine was launched, but not whether its process works, on how many photos, and which code and model
it runs. And this takes no permission but the table's: no role may describe EC2's instances.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite import aws, release
from botsite.sqs.loops import Loop
from detection.record import items, times
from detection.work.metadata import Metadata

log = structlog.get_logger()

# What has changed is written after a moment, what has not now and then: a write costs $0.0000006, a photo takes five.
CHANGED_SECONDS, UNCHANGED_SECONDS = 5.0, 60.0
# DynamoDB deletes what a machine said a day after its last word.
_EXPIRES_SECONDS = 86_400
_LOOK_SECONDS = 1.0


class State(StrEnum):
    """What a machine's process can do: nothing yet, everything, or only finish its jobs."""

    STARTING = "starting"
    READY = "ready"
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True)
class Report:
    """A machine's report `at` a time: its process has run `since` then and has `busy` photos. A site has no model."""

    at: datetime
    since: datetime
    state: State
    busy: int
    version: str
    model: str


class Reporter(Loop):
    """Reports for this process's machine, until stopped; does nothing where this is no EC2 instance."""

    def __init__(self, busy: Callable[[], int] = lambda: 0) -> None:
        super().__init__("report", self._look)
        self.state, self.model = State.STARTING, ""
        self._busy, self._since, self._metadata = busy, times.now(), Metadata()
        self._said: tuple[State, int, str] | None = None
        self._said_at = 0.0
        self._failing = False

    @cached_property
    def machine(self) -> str:
        """Return what it reports for, empty where this is no EC2 instance; a second process there sets another name."""
        return (self._metadata.get("instance-id") or "") if self._metadata.on_instance() else ""

    def _look(self) -> bool:
        """Report if that is due, and wait a second; return whether there is no machine to report for."""
        if not self.machine:
            return True
        now = (self.state, self._busy(), self.model)
        if time.monotonic() - self._said_at >= (UNCHANGED_SECONDS if now == self._said else CHANGED_SECONDS):
            self._say(*now)
        self.stopped.wait(_LOOK_SECONDS)
        return False

    def _say(self, state: State, busy: int, model: str) -> None:
        self._said, self._said_at = (state, busy, model), time.monotonic()
        try:
            write(self.machine, Report(times.now(), self._since, state, busy, release.text(), model))
        except (ClientError, BotoCoreError) as error:
            # Once: the work has its own words for an outage.
            if not self._failing:
                log.warning("report_failed", error=str(error))
            self._failing, self._said = True, None
        else:
            self._failing = False


def write(machine: str, report: Report) -> None:
    """Store what a machine says, in place of what it said before."""
    values = {":at": report.at, ":since": report.since, ":state": report.state, ":busy": report.busy}
    values |= {":version": report.version, ":model": report.model}
    aws.dynamodb().update_item(
        TableName=settings.PREDICTIONS_TABLE,
        Key=_key(machine),
        UpdateExpression="SET reported_at = :at, running_since = :since, process_state = :state, busy = :busy,"
        " code_version = :version, loaded_model = :model, expires_at = :expires",
        ExpressionAttributeValues=items.plain(values) | {":expires": int(time.time()) + _EXPIRES_SECONDS},
    )


def read(machines: Iterable[str]) -> dict[str, Report]:
    """Return the last reports of these machines by their ids, without machines that never reported."""
    found = {one: aws.dynamodb().get_item(TableName=settings.PREDICTIONS_TABLE, Key=_key(one)) for one in machines}
    return {one: _report(answer["Item"]) for one, answer in found.items() if "Item" in answer}


def _key(machine: str) -> dict[str, str]:
    return {"prediction_id": f"machine#{machine}"}


def _report(item: dict[str, Any]) -> Report:
    return Report(
        at=times.read(item["reported_at"]),
        since=times.read(item["running_since"]),
        state=State(item["process_state"]),
        busy=int(item["busy"]),
        version=item["code_version"],
        model=item["loaded_model"],
    )
