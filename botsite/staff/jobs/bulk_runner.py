"""Do something to all jobs that match, in a thread of a site: oldest first, at a steady pace, until told to stop.

If a runner dies, the service finishes the job that it was at. Resuming the run does nothing twice: a job that was
reopened since the run began has had its turn.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from kombu.exceptions import OperationalError

from botsite.staff.jobs import bulk_run, filters, query
from botsite.staff.jobs.bulk_run import BulkRun, Phase
from detection.record import items, predictions, times
from detection.work import operations

log = structlog.get_logger()

# A run ends after this many jobs. For the rest an operator starts another one, having seen what the first did.
AT_MOST = 10_000
# Telegram takes some thirty messages a second of a bot, and people's new photos come first.
PER_SECOND = 10
_RECORDED_EVERY_SECONDS = 1.0
_AWS_FAILED = (ClientError, BotoCoreError, OperationalError)


def start(run: BulkRun, operate: Callable[[str], None]) -> threading.Thread:
    """Work on a run that has begun, in the background."""
    thread = threading.Thread(target=Runner(run, operate).work, name="bulk", daemon=True)
    thread.start()
    return thread


class Runner:
    """Work on a run by doing `operate` to each of its jobs, which may raise operations.NotAllowed."""

    def __init__(self, run: BulkRun, operate: Callable[[str], None]) -> None:
        self._run, self._operate = run, operate

    def work(self) -> None:
        """Do it to each job, recording how far it is; in the end record how it ended."""
        log.warning("bulk_begun", **self._said())
        phase, why = Phase.FAILED, ""
        try:
            phase = self._work()
        except _AWS_FAILED as error:
            why = str(error)
        self._run = replace(self._run, phase=phase, why=why)
        log.warning("bulk_ended", phase=phase, **self._said())
        bulk_run.end(self._run)

    def _said(self) -> dict[str, object]:
        return {name: getattr(self._run, name) for name in ("operation", "operator", "filters", "done", "skipped")}

    def _work(self) -> Phase:
        recorded = time.monotonic()
        for row in islice(self._rows(), AT_MOST - self._run.reached):
            began = time.monotonic()
            self._one(row)
            if time.monotonic() - recorded >= _RECORDED_EVERY_SECONDS:
                if not bulk_run.record(self._run):
                    return Phase.STOPPED
                recorded = time.monotonic()
            time.sleep(max(0.0, 1 / PER_SECOND - (time.monotonic() - began)))
        return Phase.FINISHED

    def _rows(self) -> Iterator[items.Row]:
        chosen = filters.from_address(self._run.filters)
        for rows in query.walk(chosen, oldest_first=True, start=self._run.place):
            yield from rows

    def _one(self, row: items.Row) -> None:
        reason = ""
        try:
            if not self._had_its_turn(row.prediction_id):
                self._operate(row.prediction_id)
                predictions.note(row.prediction_id, self._run.operation, self._run.operator)
        except operations.NotAllowed as error:
            reason = str(error)
        except _AWS_FAILED:
            raise
        except Exception as error:
            # A defect that this job shows: the others have their turn all the same.
            reason = repr(error)
            log.exception("bulk_job_failed", prediction_id=row.prediction_id)
        run = replace(self._run, place=query.position(row))
        skipped = replace(run, skipped=run.skipped + 1, last_skipped=reason)
        self._run = skipped if reason else replace(run, done=run.done + 1)

    def _had_its_turn(self, prediction_id: str) -> bool:
        item = predictions.find_item(prediction_id) or {}
        return times.latest(times.parse(item.get("reopened_at"))) >= self._run.begun_at
