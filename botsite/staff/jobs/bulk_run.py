"""Record an operation on all jobs that match: one at a time in the whole service, in the predictions table.

Every site shows it, and any can take it up where it stands: its runner says every second or so that it is alive, and
how far it is. One that has fallen silent, because its site was restarted, is not brought back by itself.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

from botsite import aws
from botsite.staff.jobs.query import Key
from detection.record import items, predictions, times

# Longer than a runner takes for one job, even if AWS is slow.
SILENT = timedelta(seconds=60)
# No id of a job looks like it, and no index holds it.
_KEY = "bulk#jobs"
_KEPT = timedelta(days=30)


class Phase(StrEnum):
    """A run is running until it ends, one way or another."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BulkRun:
    """One run. `filters` is the address of the list of its jobs, `place` the job it did last.

    Of `matched` jobs (at least so many, unless `exact`), `done` were done and `skipped` made no sense, `last_skipped`
    says why. `holder` is its runner. Times are aware, in UTC.
    """

    operation: str
    filters: str
    operator: str
    matched: int
    exact: bool
    begun_at: datetime
    seen_at: datetime
    holder: str = ""
    phase: Phase = Phase.RUNNING
    place: Key | None = None
    done: int = 0
    skipped: int = 0
    last_skipped: str = ""
    why: str = ""

    @property
    def reached(self) -> int:
        """Return how many jobs have had their turn."""
        return self.done + self.skipped

    @property
    def silent(self) -> bool:
        """Return whether its runner has died."""
        return self.phase is Phase.RUNNING and self.seen_at < times.now(-SILENT)

    @property
    def going_on(self) -> bool:
        """Return whether a runner works on it."""
        return self.phase is Phase.RUNNING and not self.silent

    @property
    def can_continue(self) -> bool:
        """Return whether it ended before its last job."""
        return self.silent or self.phase in (Phase.STOPPED, Phase.FAILED)


def find() -> BulkRun | None:
    """Return the current run, or the last one, or None."""
    item = predictions.find_item(_KEY)
    if item is None:
        return None
    known = {name: item[name] for name in BulkRun.__dataclass_fields__ if name in item}
    known |= {name: times.read(item[name]) for name in ("begun_at", "seen_at")}
    known |= {name: int(item[name]) for name in ("matched", "done", "skipped")}
    return BulkRun(**known | {"phase": Phase(item["phase"])})


def begin(run: BulkRun) -> BulkRun | None:
    """Store a new run, or take up one that has ended early; return it as its runner has it, None if one goes on."""
    mine = replace(run, holder=uuid4().hex, phase=Phase.RUNNING, seen_at=times.now(), why="")
    free = "attribute_not_exists(prediction_id) OR #phase <> :running OR seen_at < :silent"
    values = {":running": Phase.RUNNING, ":silent": times.now(-SILENT)}
    return mine if _put(mine, free, {"#phase": "phase"}, values) else None


def record(run: BulkRun) -> bool:
    """Store how far a run is; return whether its runner may go on: nobody stopped it or took it over."""
    goes_on = "holder = :mine AND attribute_not_exists(stop_wanted)"
    return _put(replace(run, seen_at=times.now()), goes_on, {}, {":mine": run.holder})


def end(run: BulkRun) -> None:
    """Store how a run ended, unless another runner has it by now."""
    _put(replace(run, seen_at=times.now()), "holder = :mine", {}, {":mine": run.holder})


def stop() -> None:
    """Have the current run stopped by its runner, which asks with each record."""
    aws.conditional(
        aws.dynamodb().update_item,
        Key={"prediction_id": _KEY},
        UpdateExpression="SET stop_wanted = :yes",
        ConditionExpression="#phase = :running",
        ExpressionAttributeNames={"#phase": "phase"},
        ExpressionAttributeValues={":yes": True, ":running": Phase.RUNNING},
    )


def _put(run: BulkRun, condition: str, names: Mapping[str, str], values: Mapping[str, Any]) -> bool:
    held = {name: value for name, value in asdict(run).items() if value is not None}
    item = items.plain(held) | {"prediction_id": _KEY, "expires_at": int(times.now(_KEPT).timestamp())}
    put = aws.conditional(
        aws.dynamodb().put_item,
        Item=item,
        ConditionExpression=condition,
        ExpressionAttributeValues=items.plain(values),
        **({"ExpressionAttributeNames": names} if names else {}),
    )
    return put is not None
