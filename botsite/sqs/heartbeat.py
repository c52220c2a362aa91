"""Keep the messages in work hidden from other workers for as long as this one lives."""

import time
from collections.abc import Callable, Mapping

import structlog
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from botsite import aws
from botsite.sqs.loops import Loop

log = structlog.get_logger()

# A job that takes longer hangs: its message goes back to the queue, and the watchdog ends this worker.
LONGEST_JOB_SECONDS = 900.0
_BATCH = 10
_CODES_OF_ONE = frozenset({"ReceiptHandleIsInvalid", "InvalidParameterValue"})
# What deploy/cloudformation/queue.yaml gives its queues, until SQS itself has said it.
_VISIBILITY_SECONDS = 60


class Heartbeat(Loop):
    """Extend the visibility of every message in work, each third of the queue's visibility timeout.

    A thread, because the worker's event loop does not turn while it shuts down, and jobs still run then. `held`
    returns receipt handles by queue URL.
    """

    def __init__(self, held: Callable[[], Mapping[str, list[str]]], queue_urls: list[str]) -> None:
        super().__init__("heartbeat", self._beat_and_wait)
        self._held, self._queue_urls = held, queue_urls
        self._visibility: dict[str, int] = {}
        self._since: dict[str, float] = {}

    def _beat_and_wait(self) -> None:
        self.beat()
        self.stopped.wait(min(map(self._visibility_seconds, self._queue_urls)) / 3)

    @property
    def oldest_seconds(self) -> float:
        """Return for how long the oldest message has been in work, as far as this thread has seen."""
        return time.monotonic() - min(list(self._since.values()), default=time.monotonic())

    def beat(self) -> None:
        """Extend every message that is in work and not too old; an error is logged, and the next beat repeats it."""
        held, now = self._held(), time.monotonic()
        handles = {handle for batch in held.values() for handle in batch}
        self._since = {handle: self._since.get(handle, now) for handle in handles}
        for url, batch in held.items():
            young = [handle for handle in batch if now - self._since[handle] < LONGEST_JOB_SECONDS]
            for start in range(0, len(young), _BATCH):
                self._extend(url, young[start : start + _BATCH])

    def _extend(self, url: str, handles: list[str]) -> None:
        seconds = self._visibility_seconds(url)
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
            for number, handle in enumerate(handles)
        ]
        try:
            aws.client("sqs").change_message_visibility_batch(QueueUrl=url, Entries=entries)
        except (ClientError, BotoCoreError) as error:
            if len(handles) > 1 and _is_about_one(error):
                for handle in handles:
                    self._extend(url, [handle])
            else:
                log.warning("heartbeat_failed", queue_url=url, messages=len(handles), error=str(error))

    def _visibility_seconds(self, url: str) -> int:
        """Return the queue's own visibility timeout, asked once: the heartbeat's number cannot differ from it."""
        if url not in self._visibility:
            try:
                answer = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
            except (ClientError, BotoCoreError) as error:
                log.warning("visibility_unknown", queue_url=url, error=str(error))
                return _VISIBILITY_SECONDS
            self._visibility[url] = int(answer["Attributes"]["VisibilityTimeout"])
        return self._visibility[url]


def _is_about_one(error: Exception) -> bool:
    """Return whether a single entry may have failed its whole batch: the others can be extended without it."""
    if isinstance(error, ClientError):
        return error.response["Error"].get("Code") in _CODES_OF_ONE
    return isinstance(error, ParamValidationError)
