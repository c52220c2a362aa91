"""Read, replay and delete the dead letters of a queue."""

import json
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from celery import Celery
from kombu.exceptions import KombuError

from . import large, raw
from .dead_letter_queue import DeadLetterQueue
from .transport import Channel


class NoDeadLetterQueue(Exception):
    """The queue has no redrive policy."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that was received too often. `problem` is why no worker of this app can run it, or None."""

    message_id: str
    receipt_handle: str
    body: str
    task: str
    problem: str | None
    receives: int
    sent_at: float
    large: str | None = None


class Letters:
    """The dead letters of one queue of an app."""

    def __init__(self, app: Celery, channel: Channel, queue: str) -> None:
        self._app, self._channel, self._queue = app, channel, queue
        self._client = channel.client_of(queue)
        self.queue_url: str = channel._new_queue(queue)
        self.url = self._dead_letter_url()
        self._dead = DeadLetterQueue(self._client, self.url)

    def _dead_letter_url(self) -> str:
        answer = self._client.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["RedrivePolicy"])
        policy = json.loads(answer.get("Attributes", {}).get("RedrivePolicy") or "{}")
        if not policy:
            raise NoDeadLetterQueue(f"{self.queue_url} has no redrive policy, so it has no dead-letter queue.")
        *_, account, name = policy["deadLetterTargetArn"].split(":")
        base = self.queue_url.rpartition("/")[0].rpartition("/")[0]
        return f"{base}/{account}/{name}"

    def read(self) -> Generator[Letter, None, None]:
        """Yield every letter that is available now, each once, hidden from others meanwhile.

        When the generator is closed, those that were not deleted are released.
        """
        with closing(self._dead.read()) as messages:
            yield from map(self._parse, messages)

    def replay(self, may: Callable[[Letter], bool] = lambda _: True) -> tuple[int, int]:
        """Put the letters back into their queue; return how many, and how many stay as no worker can run them.

        Each is sent before it is deleted: a death between the two doubles it.
        """
        replayed = left = 0
        with closing(self.read()) as letters:
            for letter in letters:
                if letter.problem:
                    left += 1
                elif may(letter):
                    self._client.send_message(QueueUrl=self.queue_url, MessageBody=letter.body)
                    self._dead.delete(letter.receipt_handle)
                    replayed += 1
        return replayed, left

    def purge(self) -> int:
        """Delete the letters that are available now; return how many."""
        deleted = 0
        with closing(self.read()) as letters:
            for letter in letters:
                self.delete(letter)
                deleted += 1
        return deleted

    def delete(self, letter: Letter) -> None:
        """Delete a letter, and the object in S3 that has its body."""
        self._dead.delete(letter.receipt_handle)
        if letter.large and self._channel.options.large_bucket:
            self._channel.store.delete([letter.large])

    def _parse(self, message: dict[str, Any]) -> Letter:
        attributes = message.get("Attributes", {})
        task, problem = self._judge(message)
        return Letter(
            message["MessageId"],
            message["ReceiptHandle"],
            message["Body"],
            task,
            problem,
            int(attributes.get("ApproximateReceiveCount", 0)),
            int(attributes.get("SentTimestamp", 0)) / 1000,
            large.identity_of(raw.read(self._channel._decode_python_message_body(message["Body"]))),
        )

    def _judge(self, message: dict[str, Any]) -> tuple[str, str | None]:
        """Return the name of a message's task, and why no worker of this app can run it."""
        task = "-"
        try:
            payload = self._channel._message_to_python(message, self._queue, self.queue_url)
            found = self._channel.Message(payload, channel=self._channel, accept=self._accepted())
            task = str(found.headers["task"])
            problem = None if task in self._app.tasks else "unknown task"
            # What is in S3 stays there: a list should cost no request for each letter.
            if not large.identity_of(payload) and not _are_arguments(found.decode()):
                problem = "its arguments are no list and mapping"
        except (KombuError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            problem = f"unreadable: {type(error).__name__}"
        # It is shown on terminals, which must not take it for commands.
        return task if task.isprintable() else repr(task), problem

    def _accepted(self) -> set[str]:
        from kombu.serialization import prepare_accept_content

        accepted: set[str] = prepare_accept_content(self._app.conf.accept_content)
        return accepted


def _are_arguments(body: Any) -> bool:
    arguments, named, *_ = body
    return isinstance(arguments, list) and isinstance(named, dict)
