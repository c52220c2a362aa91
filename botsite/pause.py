"""Know whether an operator has paused the service: one item of the table, which every role looks at.

While it is there, sites go on taking photos, workers receive no jobs, the metric launches no machine, and the sweep
gives nothing up.
"""

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite import aws

log = structlog.get_logger()

KEY = "pause#service"
# A worker that receives asks each time; a read costs $0.00000006.
KNOWN_FOR_SECONDS = 3.0
# A worker may be in a long poll, which takes ten seconds, and know for three that nothing is paused.
IN_FORCE_SECONDS = 15
# A chat is told again of a pause that lasts longer.
_REMEMBERED_SECONDS = 30 * 86_400
_FAILED = (ClientError, BotoCoreError)


@dataclass(frozen=True, slots=True)
class Pause:
    """Who paused the service (an ARN), and when."""

    by: str
    since: datetime

    def __str__(self) -> str:
        day = "" if self.since.date() == datetime.now(UTC).date() else f"{self.since:%Y-%m-%d} "
        return f"paused by {self.by.rpartition(':')[2]} since {day}{self.since:%H:%M} UTC"


def current() -> Pause | None:
    """Return the pause, if there is one, as this process has known for at most a few seconds; from any thread.

    It raises nothing. While the table can't be read, what was known last counts; nothing known counts as not paused,
    because nobody can work without the table anyway.
    """
    return _known.get()


def read(table: str) -> Pause | None:
    """Return what the table says now; raise what botocore raises."""
    key = {"prediction_id": KEY}
    return _pause(aws.dynamodb().get_item(TableName=table, Key=key, ConsistentRead=True).get("Item"))


def begin(table: str, by: str) -> tuple[Pause, bool]:
    """Pause the service; return the pause, and whether it is new: one that exists stays as it is."""
    now = datetime.now(UTC)
    item = {"prediction_id": KEY, "paused_by": by, "paused_at": now.isoformat(timespec="milliseconds")}
    # botocore repeats a write whose reply was lost: that one finds the pause to be its own.
    begun = aws.conditional(
        aws.dynamodb().put_item,
        TableName=table,
        Item=item,
        ConditionExpression="attribute_not_exists(prediction_id) OR (paused_by = :by AND paused_at = :at)",
        ExpressionAttributeValues={":by": by, ":at": item["paused_at"]},
    )
    if begun is not None:
        return Pause(by, now), True
    # Unless somebody has ended that one meanwhile.
    found = read(table)
    return (found, False) if found else begin(table, by)


def end(table: str) -> Pause | None:
    """End the pause; return it, or None if there is none."""
    key = {"prediction_id": KEY}
    return _pause(aws.dynamodb().delete_item(TableName=table, Key=key, ReturnValues="ALL_OLD").get("Attributes"))


def first_of_chat(chat_id: int, pause: Pause) -> bool:
    """Return whether nobody has told the chat of this pause, and record that somebody does now."""
    since = pause.since.isoformat()
    told = aws.conditional(
        aws.dynamodb().update_item,
        Key={"prediction_id": f"pause#chat#{chat_id}"},
        UpdateExpression="SET told_of = :since, expires_at = :expires",
        ConditionExpression="attribute_not_exists(told_of) OR told_of <> :since",
        ExpressionAttributeValues={":since": since, ":expires": int(time.time()) + _REMEMBERED_SECONDS},
    )
    return told is not None


def _pause(item: Mapping[str, Any] | None) -> Pause | None:
    """Return what the item says; one that is there counts, whatever somebody has written into it by hand."""
    if item is None:
        return None
    try:
        since = datetime.fromisoformat(str(item.get("paused_at"))).astimezone(UTC)
    except ValueError:
        since = datetime.fromtimestamp(0, UTC)
    return Pause(str(item.get("paused_by", "somebody")), since)


class _Known:
    """What was read last; one thread reads for all that ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_at = -math.inf
        self._pause: Pause | None = None

    def get(self) -> Pause | None:
        with self._lock:
            # Where nothing is deployed, there is no table.
            if settings.PREDICTIONS_TABLE and time.monotonic() - self._read_at >= KNOWN_FOR_SECONDS:
                self._read()
            return self._pause

    def _read(self) -> None:
        try:
            found = read(settings.PREDICTIONS_TABLE)
        except _FAILED as error:
            log.warning("pause_unknown", error=str(error), taken_for="paused" if self._pause else "not paused")
        else:
            if found != self._pause:
                log.info("service_paused", by=found.by) if found else log.info("service_resumed")
            self._pause = found
        self._read_at = time.monotonic()


_known = _Known()
