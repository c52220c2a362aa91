"""Read a queue of dead letters: each message once, hidden from other readers meanwhile, and released in the end."""

from collections.abc import Callable, Generator, Sequence
from typing import Any

from .threads import BATCH

# If a reader dies, its messages stay hidden from others until this is over.
HIDDEN_SECONDS = 120
# A short poll asks some of SQS's servers, so it may find nothing although there is something; a long one asks all.
WAIT_SECONDS = 2


class DeadLetterQueue:
    """The dead-letter queue at `url`, through one of boto3's SQS clients.

    With `pick` a queue of jobs can be read, too, of which nothing else may be hidden for long.
    """

    def __init__(self, client: Any, url: str, hidden_seconds: int = HIDDEN_SECONDS) -> None:
        self.url = url
        self._client = client
        self._hidden_seconds = hidden_seconds

    def read(self, wait_seconds: int = WAIT_SECONDS) -> Generator[dict[str, Any], None, None]:
        """Yield every message that is available now, as SQS gives it; closing releases those that were not deleted."""
        handles: dict[str, str] = {}
        try:
            while messages := self._receive(wait_seconds):
                fresh = [message for message in messages if message["MessageId"] not in handles]
                handles.update((message["MessageId"], message["ReceiptHandle"]) for message in messages)
                yield from fresh
        finally:
            self.release(list(handles.values()))

    def pick(self, wanted: Callable[[dict[str, Any]], bool], at_most: int, wait_seconds: int = 1) -> list[Any]:
        """Return the wanted ones of up to `at_most` messages, which stay hidden; release the others."""
        found: dict[str, dict[str, Any]] = {}
        while len(found) < at_most and (messages := self._receive(wait_seconds)):
            found.update((message["MessageId"], message) for message in messages)
        chosen = {name: message for name, message in found.items() if wanted(message)}
        self.release([message["ReceiptHandle"] for name, message in found.items() if name not in chosen])
        return list(chosen.values())

    def delete(self, receipt_handle: str) -> None:
        """Delete a message."""
        self._client.delete_message(QueueUrl=self.url, ReceiptHandle=receipt_handle)

    def _receive(self, wait_seconds: int) -> list[dict[str, Any]]:
        answer = self._client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=BATCH,
            VisibilityTimeout=self._hidden_seconds,
            WaitTimeSeconds=wait_seconds,
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
        )
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages

    def release(self, handles: Sequence[str]) -> None:
        """Let others have these messages at once."""
        for start in range(0, len(handles), BATCH):
            entries = [
                {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for number, handle in enumerate(handles[start : start + BATCH])
            ]
            # SQS skips those that were deleted.
            self._client.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)
