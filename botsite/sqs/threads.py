"""The two threads that talk to SQS for a worker: a receiver and a settler for each queue.

No error of SQS ends them: they log it, wait (exponential backoff with full jitter) and try again.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Any

from . import later
from .counts import COUNTS
from .loops import Loop
from .options import Options
from .priorities import Turns
from .receiving import RECEIVING

BATCH = 10  # SQS takes and gives at most ten messages per request.
FIRST_DELAY_SECONDS = 0.2
SECONDS_BETWEEN_WARNINGS = 30.0
FLUSH_SECONDS = 5.0

log = logging.getLogger(__name__)


class Outage:
    """Compute the wait after consecutive failures, and log them, but not every one of a long outage."""

    def __init__(self, event: str, longest_seconds: float, **fields: str) -> None:
        self._event, self._longest_seconds, self._fields = event, longest_seconds, fields
        self._failures = 0
        self._logged = False
        self._quiet_until = 0.0

    def failed(self, error: object) -> float:
        """Return the seconds to wait: exponential backoff with full jitter."""
        longest = min(self._longest_seconds, FIRST_DELAY_SECONDS * 2 ** min(self._failures, 10))
        delay = random.uniform(0, longest)  # noqa: S311 - jitter is no secret
        self._failures += 1
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + SECONDS_BETWEEN_WARNINGS
            self._logged = True
            text = f"{type(error).__name__}: {error}" if isinstance(error, Exception) else error
            fields = {"error": text, "failures": self._failures, "retry_in_ms": round(delay * 1000)}
            log.warning(self._event, extra=self._fields | fields)
        return delay

    def over(self) -> None:
        """Reset to the shortest delay."""
        if self._logged:
            log.info("outage_ended", extra=self._fields | {"of": self._event, "failures": self._failures})
        self._failures, self._logged = 0, False


@dataclass(frozen=True)
class Settlement:
    """One message to delete or, with `visible_in` seconds, to return to the queue.

    With a `copy`, the arguments of SendMessage, that is sent first, to arrive when it is `due`.
    """

    receipt_handle: str
    visible_in: int | None
    give_up_at: float
    copy: Mapping[str, Any] | None = None
    due: float = 0.0
    # The object in S3 that has its body, if it is to be deleted with it.
    large: str | None = None


class Settler(Loop):
    """Delete and release messages of one queue, up to ten per request, since each request costs CPU.

    A failed request is retried for `Options.settle_seconds`, in which the heartbeat hides what is to be deleted. After
    that, the message comes back when its visibility timeout ends. Gathering makes batches: with 24 slots and jobs of
    20 ms, it cuts the CPU of messages from 4.8 to 2.0 ms per job.
    """

    def __init__(
        self, client: Any, queue_url: str, options: Options, delete_large: Callable[[Sequence[str]], None]
    ) -> None:
        super().__init__("sqs-settle", self._settle)
        self._client, self._url, self._options, self._delete_large = client, queue_url, options, delete_large
        self._todo: SimpleQueue[Settlement | threading.Event] = SimpleQueue()
        self._flushing: list[threading.Event] = []
        self._again: list[Settlement] = []
        self._deleting: set[str] = set()
        self._outage = Outage("settle_failed", options.longest_backoff_seconds, queue_url=queue_url)
        self.start()

    def delete(self, receipt_handle: str, large: str | None = None) -> None:
        """Delete a message whose work is done, and then the object in S3 that has its body."""
        self._put(receipt_handle, large=large)

    def release(self, receipt_handle: str, visible_in: int = 0) -> None:
        """Make a message available to other consumers now or in so many seconds, not after its visibility timeout."""
        self._put(receipt_handle, visible_in)

    def postpone(self, receipt_handle: str, copy: Mapping[str, Any], due: float) -> None:
        """Send a message again, so that it arrives when it is due or in 15 minutes; only then delete this one."""
        self._put(receipt_handle, None, copy, due)

    def _put(
        self,
        receipt_handle: str,
        visible_in: int | None = None,
        copy: Mapping[str, Any] | None = None,
        due: float = 0.0,
        large: str | None = None,
    ) -> None:
        if visible_in is None:
            self._deleting.add(receipt_handle)
        give_up_at = time.monotonic() + self._options.settle_seconds
        self._todo.put(Settlement(receipt_handle, visible_in, give_up_at, copy, due, large))

    def deleting(self) -> list[str]:
        """Return the receipt handles of messages that are to be deleted: until that has succeeded, hide them."""
        return list(self._deleting)

    def flush(self) -> None:
        """Wait until everything handed over so far is settled, but for at most five seconds."""
        done = threading.Event()
        self._todo.put(done)
        if not done.wait(FLUSH_SECONDS):
            log.error("settle_unfinished", extra={"queue_url": self._url})

    def _settle(self) -> None:
        """Send a batch. This never ends: a stopped receiver may still bring messages."""
        batch = self._again + self._take(BATCH - len(self._again), wait=not self._again)
        self._again = self._send(batch)
        self._deleting -= {one.receipt_handle for one in batch} - {one.receipt_handle for one in self._again}
        while self._flushing and not self._again:
            self._flushing.pop().set()

    def _take(self, room: int, wait: bool) -> list[Settlement]:
        """Return what has to be settled: with `wait`, at least one and whatever gathers soon after it."""
        taken: list[Settlement] = []
        gather_until = 0.0
        with contextlib.suppress(Empty):
            while len(taken) < room:
                timeout = None if wait and not taken else max(0.0, gather_until - time.monotonic())
                task = self._todo.get(timeout=timeout)
                if isinstance(task, threading.Event):
                    self._flushing.append(task)
                    break
                taken.append(task)
                gather_until = gather_until or time.monotonic() + self._options.gather_seconds
        return taken

    def _send(self, batch: list[Settlement]) -> list[Settlement]:
        """Return the settlements to retry, after pausing if any failed."""
        sent, failed = self._send_copies([settlement for settlement in batch if settlement.copy is not None])
        deletions = [one for one in batch if one.visible_in is None and one.copy is None] + sent
        releases = [settlement for settlement in batch if settlement.visible_in is not None]
        failed += self._request(self._client.delete_message_batch, deletions, "deleted")
        failed += self._request(self._client.change_message_visibility_batch, releases, "released")
        if not failed:
            self._outage.over()
            return []
        COUNTS.add("settle_errors", self._url)
        time.sleep(self._outage.failed(failed[0][1]))
        now = time.monotonic()
        given_up = [settlement for settlement, _ in failed if settlement.give_up_at <= now]
        if given_up:
            fields = {"queue_url": self._url, "messages": len(given_up), "error": str(failed[0][1])}
            log.error("settle_given_up", extra=fields)
        return [settlement for settlement, _ in failed if settlement.give_up_at > now]

    def _send_copies(self, batch: list[Settlement]) -> tuple[list[Settlement], list[tuple[Settlement, object]]]:
        """Return what is to be deleted now, and what failed, each with its error."""
        sent: list[Settlement] = []
        failed: list[tuple[Settlement, object]] = []
        for one in batch:
            delay = later.delay_seconds(one.due, self._options.longest_delay_seconds)
            try:
                self._client.send_message(QueueUrl=self._url, DelaySeconds=delay, **(one.copy or {}))
            except Exception as error:  # noqa: BLE001 - whatever it is, the message must not be lost
                failed.append((one, error))
            else:
                # What fails from now on is the deletion alone.
                sent.append(replace(one, copy=None))
        COUNTS.add("postponed", self._url, len(sent))
        return sent, failed

    def _request(
        self, operation: Callable[..., Any], batch: list[Settlement], done: str
    ) -> list[tuple[Settlement, object]]:
        """Count what succeeded as `done`; return what failed but may still succeed, each with its error."""
        if not batch:
            return []
        retry: list[tuple[Settlement, object]] = []
        try:
            reply = operation(QueueUrl=self._url, Entries=[entry(*numbered) for numbered in enumerate(batch)])
            refused = {int(failure["Id"]) for failure in reply.get("Failed", [])}
            for failure in reply.get("Failed", []):
                if failure["SenderFault"]:  # Mostly an expired receipt handle: the message is back in the queue.
                    log.warning("settle_refused", extra={"queue_url": self._url, "code": failure["Code"]})
                else:
                    retry.append((batch[int(failure["Id"])], failure["Code"]))
        except Exception as error:  # noqa: BLE001 - whatever it is, the batch must not be lost
            return [(settlement, error) for settlement in batch]
        COUNTS.add(done, self._url, len(batch) - len(refused))
        # Not before: a message that comes back needs its body.
        if large := [one.large for number, one in enumerate(batch) if one.large and number not in refused]:
            self._delete_large(large)
        return retry


def entry(number: int, settlement: Settlement) -> dict[str, Any]:
    """Return the entry of a batch request."""
    common = {"Id": str(number), "ReceiptHandle": settlement.receipt_handle}
    return common if settlement.visible_in is None else {**common, "VisibilityTimeout": settlement.visible_in}


class Receiver(Loop):
    """Receive one queue's messages until stopped, whatever ReceiveMessage does."""

    def __init__(
        self,
        queue: str,
        receive: Callable[..., Any],
        request: Mapping[str, Any],
        wait_for_slots: Callable[[threading.Event, bool], int],
        arrived: Callable[[str, list[dict[str, Any]], threading.Event], None],
        turns: Turns,
        options: Options,
    ) -> None:
        super().__init__(f"sqs-receive-{queue}", self._receive_once)
        self._queue, self._receive_message, self._request = queue, receive, request
        self._wait_for_slots, self._arrived, self._turns = wait_for_slots, arrived, turns
        # SQS gives out several messages of a group together, which threads would overtake each other with; while one is
        # in work, it gives out none.
        self._at_most = 1 if queue.endswith(".fifo") else BATCH
        self._outage = Outage("receive_failed", options.longest_backoff_seconds, queue=queue)
        self._backlog = False
        self.last_receive = time.monotonic()
        self.start()

    def stop(self) -> None:
        """End after the request in flight."""
        super().stop()
        self._turns.leave(self._queue)
        RECEIVING.wake()

    def _receive_once(self) -> None:
        """Receive if a slot is free, it is this queue's turn, and receiving is allowed."""
        slots = min(self._at_most, self._wait_for_slots(self.stopped, self._backlog))
        wanted = slots and self._turns.begin(self._queue, slots, self.stopped)
        wanted = wanted and RECEIVING.begin(wanted, self.stopped)
        if wanted:
            self._receive_for(wanted)
        elif slots:
            # It is silent because it was told to be, not because SQS does not answer.
            self.last_receive = time.monotonic()

    def _receive_for(self, wanted: int) -> None:
        """Receive once; after a failure, wait."""
        received, problem = 0, None
        self._turns.asked(self._queue)
        try:
            received, problem = self._receive(wanted)
        finally:
            RECEIVING.end()
            self._turns.answered(self._queue, received, failed=bool(problem))
        self._backlog = received == wanted
        COUNTS.add("received", self._request["QueueUrl"], received)
        if problem:
            COUNTS.add("receive_errors", self._request["QueueUrl"])
            self.stopped.wait(self._outage.failed(problem))
        else:
            self._outage.over()
            if not received:
                RECEIVING.nothing_arrived()

    def _receive(self, wanted: int) -> tuple[int, object]:
        """Return how many messages arrived, and the error if any."""
        started = time.monotonic()
        try:
            messages = self._receive_message(**self._request, MaxNumberOfMessages=wanted).get("Messages", [])
        except Exception as error:  # noqa: BLE001 - nothing a receive raises may end the polling
            return 0, error
        finally:
            self.last_receive = time.monotonic()
        if messages:
            RECEIVING.arrived(message["ReceiptHandle"] for message in messages)
            self._arrived(self._queue, messages, self.stopped)
        elif self.last_receive - started < self._request["WaitTimeSeconds"] / 2:
            # botocore reads a reply without a body as one without messages: asking again at once would be a busy loop.
            return 0, "empty reply before the wait was over"
        return len(messages), None
