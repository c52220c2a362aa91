"""Keep the messages in work hidden from other workers for as long as this worker lives."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from .counts import COUNTS
from .loops import Loop
from .options import Options

log = logging.getLogger(__name__)

# One attempt: repeated by botocore, an extension could follow the release of its message, and hide that again.
ONCE = Config(retries={"total_max_attempts": 1})
_BATCH = 10
# After a failure, unless the next beat comes sooner.
_AGAIN_SECONDS = 1.0
_CODES_OF_ONE = frozenset({"ReceiptHandleIsInvalid", "InvalidParameterValue"})


class Heartbeat(Loop):
    """Extend the visibility of every message in work, three times in each visibility timeout of its queue.

    A thread, because the worker's event loop stands still during shutdown while jobs still run. `held` returns receipt
    handles by queue URL; `clients` are the boto3 clients of these queues, configured with `ONCE`.
    """

    def __init__(
        self, clients: Mapping[str, Any], held: Callable[[], Mapping[str, list[str]]], options: Options
    ) -> None:
        super().__init__("heartbeat", self._beat_and_wait)
        self._clients, self._held, self._options = clients, held, options
        self._visibility: dict[str, int] = {}
        self._since: dict[str, float] = {}

    def _beat_and_wait(self) -> None:
        third = min(map(self._visibility_seconds, self._clients)) / 3
        self.stopped.wait(third if self.beat() else min(third, _AGAIN_SECONDS))

    @property
    def oldest_seconds(self) -> float:
        """Return for how long the oldest message has been in work, as far as this thread has seen."""
        return time.monotonic() - min(list(self._since.values()), default=time.monotonic())

    def beat(self) -> bool:
        """Extend every message in work that is not too old; log errors; return False if one is worth another try."""
        held, now = self._held(), time.monotonic()
        handles = {handle for batch in held.values() for handle in batch}
        self._since = {handle: self._since.get(handle, now) for handle in handles}
        well = True
        for url, batch in held.items():
            young = [handle for handle in batch if now - self._since[handle] < self._options.longest_job_seconds]
            for start in range(0, len(young), _BATCH):
                well &= self._extend(url, young[start : start + _BATCH])
        return well

    def _extend(self, url: str, handles: list[str]) -> bool:
        seconds = self._visibility_seconds(url)
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
            for number, handle in enumerate(handles)
        ]
        try:
            self._clients[url].change_message_visibility_batch(QueueUrl=url, Entries=entries)
        except (ClientError, BotoCoreError) as error:
            if len(handles) > 1 and _is_about_one(error):
                alone = [self._extend(url, [handle]) for handle in handles]
                return all(alone)
            COUNTS.add("heartbeat_failures", url)
            fields = {"queue_url": url, "messages": len(handles), "error": str(error)}
            log.warning("heartbeat_failed", extra=fields)
            # A message that is not held any more would fail again.
            return _is_about_one(error)
        return True

    def _visibility_seconds(self, url: str) -> int:
        """Return the queue's own visibility timeout, asked for once, so that nobody has to configure it twice."""
        if url not in self._visibility:
            try:
                answer = self._clients[url].get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
            except (ClientError, BotoCoreError) as error:
                log.warning("visibility_unknown", extra={"queue_url": url, "error": str(error)})
                return self._options.visibility_timeout
            self._visibility[url] = int(answer["Attributes"]["VisibilityTimeout"])
        return self._visibility[url]


def _is_about_one(error: Exception) -> bool:
    """Return whether one entry may have failed its whole batch, so that the others can be extended without it."""
    if isinstance(error, ClientError):
        return error.response["Error"].get("Code") in _CODES_OF_ONE
    return isinstance(error, ParamValidationError)
