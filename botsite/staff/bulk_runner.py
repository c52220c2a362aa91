"""Do something to all jobs that match, in a thread of a site: oldest first, at a steady pace, until told to stop.

A runner that dies leaves no job half done that the service does not finish by itself. Who takes the run up does
nothing twice: a job that was reopened since the run began has had its turn.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from kombu.exceptions import OperationalError

from botsite.staff import bulk_run, job_filters, job_query
from botsite.staff.bulk_run import Phase, Run
from detection.record import items, predictions, times
from detection.work import operations

log = structlog.get_logger()

# A run ends after so many: what matches more often is started again, by somebody who has looked at what it did.
AT_MOST = 10_000
# Telegram takes some thirty messages a second of a bot, and people's new photos come first.
PER_SECOND = 10
_RECORDED_EVERY_SECONDS = 1.0
_AWS_FAILED = (ClientError, BotoCoreError, OperationalError)


def start(run: Run, operate: Callable[[str], None]) -> threading.Thread:
    """Work on a run that has begun, in the background."""
    thread = threading.Thread(target=Runner(run, operate).work, name="bulk", daemon=True)
    thread.start()
    return thread


class Runner:
    """Work on a run by doing `operate` to each of its jobs, which may raise operations.Refused."""

    def __init__(self, run: Run, operate: Callable[[str], None]) -> None:
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
        filters = job_filters.parse(self._run.filters)
        for rows in job_query.walk(filters, oldest_first=True, start=self._run.place):
            yield from rows

    def _one(self, row: items.Row) -> None:
        reason = ""
        try:
            if not self._had_its_turn(row.prediction_id):
                self._operate(row.prediction_id)
                predictions.note(row.prediction_id, self._run.operation, self._run.operator)
        except operations.Refused as error:
            reason = str(error)
        except _AWS_FAILED:
            raise
        except Exception as error:
            # A defect that this job shows: the others have their turn all the same.
            reason = repr(error)
            log.exception("bulk_job_failed", prediction_id=row.prediction_id)
        run = replace(self._run, place=job_query.position(row))
        skipped = replace(run, skipped=run.skipped + 1, last_skipped=reason)
        self._run = skipped if reason else replace(run, done=run.done + 1)

    def _had_its_turn(self, prediction_id: str) -> bool:
        item = predictions.find_item(prediction_id) or {}
        return times.latest(times.parse(item.get("reopened_at"))) >= self._run.begun_at
