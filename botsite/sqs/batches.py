"""Send tasks in batches: ten messages or 1 MiB a request."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from celery import Celery

from .threads import BATCH, Outage

LONGEST_BYTES = 1_048_576  # SQS's limit for a request.
TRIES = 4  # For a message that SQS could not take, although nothing is wrong with it.
LONGEST_WAIT_SECONDS = 2.0  # Between them: somebody waits for the end of the batch.


class NotSent(Exception):
    """Tasks of a batch that SQS has not taken; `tasks` says why, by their ids. All others were sent."""

    def __init__(self, tasks: Mapping[str, str]) -> None:
        self.tasks = dict(tasks)
        super().__init__(f"{len(tasks)} not sent: " + ", ".join(f"{one} ({why})" for one, why in tasks.items()))


class Queued:
    """What a batch has for one queue."""

    def __init__(self, client: Any, url: str) -> None:
        self._client, self._url = client, url
        self._messages: list[tuple[str, dict[str, Any]]] = []
        self._size = 0
        self.refused: dict[str, str] = {}

    def add(self, task_id: str, message: dict[str, Any]) -> None:
        """Take a message, the arguments of SendMessage; first send what leaves no room for it in a request."""
        size = size_of(message)
        if len(self._messages) == BATCH or self._size + size > LONGEST_BYTES:
            self.send()
        self._messages.append((task_id, message))
        self._size += size

    def send(self) -> None:
        """Send all, and again what SQS could not take; keep the reasons of what it will not take."""
        waiting, self._messages, self._size = self._messages, [], 0
        outage = Outage("send_failed", LONGEST_WAIT_SECONDS, queue_url=self._url)
        for tries in range(1, TRIES + 1):
            failed = self._send_once(waiting) if waiting else {}
            again = {number for number, (_, may_help) in failed.items() if may_help and tries < TRIES}
            self.refused |= {waiting[number][0]: why for number, (why, _) in failed.items() if number not in again}
            waiting = [waiting[number] for number in sorted(again)]
            if waiting:
                time.sleep(outage.failed(failed[min(again)][0]))

    def _send_once(self, waiting: list[tuple[str, dict[str, Any]]]) -> dict[int, tuple[str, bool]]:
        """Return the places of what failed, why, and whether trying again may help."""
        entries = [{"Id": str(number), **message} for number, (_, message) in enumerate(waiting)]
        try:
            reply = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
        except (ClientError, BotoCoreError) as error:
            # The client has already tried again whatever that helps.
            return {number: (str(error), False) for number in range(len(waiting))}
        return {int(one["Id"]): (one["Code"], not one["SenderFault"]) for one in reply.get("Failed", [])}


class Batch:
    """What is sent to the queues of one broker."""

    def __init__(self, broker: object) -> None:
        self.broker = broker
        self.queues: dict[str, Queued] = {}

    def add(self, task_id: str, client: Any, url: str, message: dict[str, Any]) -> None:
        """Take a message for a queue."""
        self.queues.setdefault(url, Queued(client, url)).add(task_id, message)

    def send(self) -> None:
        """Send what is left; raise NotSent if SQS has not taken everything."""
        for queue in self.queues.values():
            queue.send()
        if refused := {one: why for queue in self.queues.values() for one, why in queue.refused.items()}:
            raise NotSent(refused)


_BATCH: ContextVar[Batch | None] = ContextVar("batch", default=None)


@contextmanager
def batch(app: Celery) -> Iterator[None]:
    """Send in batches what this thread sends by `app` in the block; at its end, even a bad one, all is sent.

    Raise NotSent with what SQS has not taken. In a FIFO queue, what is sent again comes after the rest of its group.
    """
    with app.connection_for_write() as connection:
        if connection.transport_cls != app.conf.broker_transport:
            raise ValueError("this app does not use the transport: call `install(app)`")
        one = Batch(_broker(connection))
    token = _BATCH.set(one)
    try:
        yield
    finally:
        _BATCH.reset(token)
        one.send()


def batch_of(connection: Any) -> Batch | None:
    """Return the batch that collects what is sent now over a connection, if there is one."""
    one = _BATCH.get()
    return one if one and one.broker == _broker(connection) else None


def _broker(connection: Any) -> tuple[Any, ...]:
    """Return what tells brokers apart; Celery adds options of its own to some connections of an app."""
    names = ("region", "predefined_queues", "queue_name_prefix", "endpoint_url")
    return (connection.hostname, connection.port, *(connection.transport_options.get(name) for name in names))


def size_of(message: Mapping[str, Any]) -> int:
    """Return what SQS counts: the body, and the names, types and values of attributes."""
    attributes = message.get("MessageAttributes") or {}
    values = [value for name, attribute in attributes.items() for value in (name, *attribute.values())]
    texts = [message["MessageBody"], *values]
    return sum(len(text.encode() if isinstance(text, str) else text) for text in texts)
