"""Carry Celery's messages over Amazon SQS without any network call on the worker's event loop.

Every queue has a thread that receives as many messages as there are free slots, and a thread that settles (deletes or
releases) those the worker has finished with. The loop only hands messages over. botocore makes all requests, so its
settings for credentials, timeouts, endpoint and CA bundle apply to all of them. README.md says why.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError
from kombu.transport import SQS, virtual
from kombu.transport.virtual.base import queue_declare_ok_t

from . import large, later, moving, raw
from .messages import Message, QoS
from .options import Options
from .priorities import Turns
from .publishing import Publishing
from .receiving import RECEIVING
from .threads import BATCH, Receiver, Settler

RECEIVE_GRACE_SECONDS = 3  # A long poll unanswered for this much longer than its wait is a dead connection.
RECOUNT_SECONDS = 1.0  # A changed prefetch count is noticed within this; a settled message, at once.

log = logging.getLogger(__name__)


class Channel(Publishing):
    """Consume through a receiver and a settler for each queue; publish as kombu does."""

    QoS = QoS
    Message = Message

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        moving.refuse(self.transport_options)
        self.options: Options = self.transport_options.get("sqs") or Options()
        self._urls: dict[str, str] = {}
        self._receivers: dict[str, Receiver] = {}
        self._cancelled: list[Receiver] = []
        self._settlers: dict[str, Settler] = {}
        self._turns = Turns(self.options)
        self._slots = threading.Condition()
        # Received, and not yet counted by qos as delivered: receipt handles and their queues.
        self._arriving: dict[str, str] = {}
        self._watched: tuple[socket.socket, socket.socket] | None = None

    @property
    def last_receive(self) -> float | None:
        """Return when the slowest queue's last ReceiveMessage ended, well or badly (monotonic seconds).

        A receiver without a free slot does not receive: judge the age only while `qos.can_consume()`.
        """
        return min((receiver.last_receive for receiver in list(self._receivers.values())), default=None)

    def held(self) -> dict[str, list[str]]:
        """Return the receipt handles of the messages to hide: in work, or waiting for their deletion; by queue URL.

        May be called from any thread.
        """
        handles = {url: deleting for url, settler in list(self._settlers.items()) if (deleting := settler.deleting())}
        # `list` of a dict's items is one step for other threads.
        for tag, message in list(self.qos._delivered.items()):
            if self.qos.holds(tag):
                handles.setdefault(message.delivery_info["sqs_queue"], []).append(tag)
        return handles

    # Receiving: `_schedule_queue` and `_deliver` run on the event loop, the rest in a receiver's thread.

    def _schedule_queue(self, queue: str) -> None:
        """Start receiving; kombu schedules this once for each consumer of a queue."""
        if queue not in self._active_queues or queue in self._receivers:
            return
        if self._watched is None:
            # While it watches no file at all, kombu 5.7.0's event loop sleeps for up to 0.1 s instead of polling, and
            # messages and acknowledgements from threads would wait for it. Give it one that never has news.
            self._watched = socket.socketpair()
            self.hub.add_reader(self._watched[0], lambda: None)
        RECEIVING.configure(self.options)
        for active in self._active_queues:  # All that this worker consumes, whichever is scheduled first.
            self._turns.join(active)
        queue_url = self._urls[queue] = self._new_queue(queue)
        self._settler(queue_url, queue)
        config = Config(
            read_timeout=self.wait_time_seconds + RECEIVE_GRACE_SECONDS,
            retries={"total_max_attempts": 1},  # The receiver retries, and logs it.
        )
        client = self.new_client_of(queue, config)
        attributes = {name: values for name, values in self.get_message_attributes.items() if values}
        request = {"QueueUrl": queue_url, "WaitTimeSeconds": self.wait_time_seconds, **attributes}
        self._receivers[queue] = Receiver(
            queue, client.receive_message, request, self.wait_for_slots, self.arrived, self._turns, self.options
        )

    def wait_for_slots(self, stopped: threading.Event, gather: bool) -> int:
        """Return how many messages to ask for: 1 to 10 as soon as a slot is free, or 0 after a while.

        With `gather`, when more messages are likely to be waiting, first wait until a quarter of the slots is free,
        but not for long: one request then fetches several.
        """
        with self._slots:
            self._slots.wait_for(lambda: stopped.is_set() or self._free() > 0, RECOUNT_SECONDS)
            if gather:
                quarter = min(BATCH, self.qos.prefetch_count // 4)
                self._slots.wait_for(lambda: stopped.is_set() or self._free() >= quarter, self.options.gather_seconds)
            return 0 if stopped.is_set() else min(BATCH, self._free())

    def _free(self) -> int:
        free = self.qos.can_consume_max_estimate()
        return BATCH if free is None else max(0, free - len(self._arriving))

    def slots_changed(self) -> None:
        """Have the receivers count the free slots again."""
        with self._slots:
            self._slots.notify_all()

    def arrived(self, queue: str, messages: list[dict[str, Any]], stopped: threading.Event) -> None:
        """Pass messages to the event loop or, if the consumer has gone in the meantime, back to the queue."""
        arriving = {message["ReceiptHandle"]: queue for message in messages}
        if stopped.is_set():  # The loop may have stopped turning.
            self._give_back(arriving)
            return
        with self._slots:
            self._arriving |= arriving
        self.hub.call_soon(self._deliver, queue, self._fetched(queue, messages))

    def _fetched(self, queue: str, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the messages, with the bodies that are in S3; those whose body can't be had go back to the queue."""
        if not self.options.large_bucket:
            return messages
        ready, outage = [], None
        for message in messages:
            try:
                self._fetch(message, outage)
            except Exception as error:  # noqa: BLE001 - nothing may end the receiving
                # An error of S3's own came soon; waiting for each timeout would take longer than messages are hidden.
                outage = error if isinstance(error, BotoCoreError) else outage
                text = f"{type(error).__name__}: {error}"
                log.warning(
                    "body_unavailable", extra={"queue": queue, "message_id": message["MessageId"], "error": text}
                )
                self._later(queue, message)
            else:
                ready.append(message)
        return ready

    def _fetch(self, message: dict[str, Any], outage: BotoCoreError | None) -> None:
        identity = large.identity_of(raw.read(self._decode_python_message_body(message["Body"])))
        if identity and outage:
            raise outage
        if identity:
            message[large.HEADER] = self.store.get(identity)

    def _later(self, queue: str, message: Mapping[str, Any]) -> None:
        handle = message["ReceiptHandle"]
        self._settlers[self._urls[queue]].release(handle, self.options.retry_seconds(_receives(message)))
        RECEIVING.settled(handle)
        with self._slots:
            self._arriving.pop(handle, None)
            self._slots.notify_all()

    def _give_back(self, arriving: Mapping[str, str]) -> None:
        for handle, queue in arriving.items():
            self._settlers[self._urls[queue]].release(handle)
            RECEIVING.settled(handle)

    def _deliver(self, queue: str, messages: list[dict[str, Any]]) -> None:
        callback = None if self.closed else self.connection._callbacks.get(queue)
        if callback is None:
            self._give_back({message["ReceiptHandle"]: queue for message in messages})
        else:
            for message in messages:
                self._deliver_one(queue, message, callback)
        with self._slots:
            for message in messages:
                self._arriving.pop(message["ReceiptHandle"], None)
            self._slots.notify_all()

    def _deliver_one(self, queue: str, message: dict[str, Any], callback: Callable[[Any], None]) -> None:
        try:
            body = message.pop(large.HEADER, None)
            payload = self._message_to_python(message, queue, self._new_queue(queue))
            if not self._postponed(queue, message, payload):
                callback(payload if body is None else payload | {"body": body})
        except Exception:
            log.exception("message_failed", extra={"queue": queue, "message_id": message.get("MessageId")})
            # It comes back with growing delays, and ends as a dead letter.
            self.basic_reject(message["ReceiptHandle"])
        if not self.qos.holds(message["ReceiptHandle"]):
            # It could not be parsed, or its consumer does not acknowledge.
            RECEIVING.settled(message["ReceiptHandle"])

    def _message_to_python(self, message: dict[str, Any], queue_name: str, q_url: str) -> Any:
        """Return kombu's payload of a message; what Celery did not send runs the task that is named for its queue."""
        if task := self.options.raw_tasks.get(queue_name):
            message = raw.as_task(message, self._decode_python_message_body(message["Body"]), task)
        return super()._message_to_python(message, queue_name, q_url)

    def _postponed(self, queue: str, message: dict[str, Any], payload: Any) -> bool:
        """Return False if the message is due; else have it sent again, for Celery would hold it in memory."""
        headers = payload.get("headers")
        if not isinstance(headers, dict) or queue in self._noack_queues:
            return False
        due = later.due_at(headers)
        if due <= time.time():
            return False
        if queue.endswith(".fifo"):
            raise ValueError(f"it is due later, but SQS delays no message of {queue}, a FIFO queue")
        copy = {"MessageBody": message["Body"]}
        if attributes := message.get("MessageAttributes"):
            copy["MessageAttributes"] = attributes
        if group := (payload.get("properties") or {}).get("MessageGroupId"):
            copy["MessageGroupId"] = group
        self._settlers[self._urls[queue]].postpone(message["ReceiptHandle"], copy, due)
        return True

    # Settling: all on the event loop, and nothing waits for the network.

    def _settler(self, queue_url: str, queue: str | None = None) -> Settler:
        if queue_url not in self._settlers:
            client = self.client_of(queue) if queue else self.sqs()
            self._settlers[queue_url] = Settler(client, queue_url, self.options, self._delete_bodies)
        return self._settlers[queue_url]

    def _delete_bodies(self, identities: Sequence[str]) -> None:
        self.store.delete(identities)

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        """Have the message deleted; its slot is free at once."""
        if self.qos.holds(delivery_tag):
            message = self.qos.get(delivery_tag)
            identity = large.identity_of({"headers": message.headers}) if self.options.large_bucket else None
            self._settler(message.delivery_info["sqs_queue"]).delete(delivery_tag, identity)
            self.qos.ack(delivery_tag)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Release the message: now with `requeue`, else with growing delays until it is a dead letter."""
        if self.qos.holds(delivery_tag):
            if not requeue:
                message = self.qos.get(delivery_tag)
                self._settler(message.delivery_info["sqs_queue"]).release(delivery_tag, self._retry_seconds(message))
            self.qos.reject(delivery_tag, requeue=requeue)

    def _retry_seconds(self, message: virtual.Message) -> int:
        """Return how long a rejected message waits: by the `backoff_policy` of its queue for its task, or by ours."""
        receives = _receives(message.delivery_info["sqs_message"])
        seconds = self.options.retry_seconds(receives)
        headers, url = message.headers, message.delivery_info["sqs_queue"]
        own: dict[str, Any] = next((queue for queue in self.predefined_queues.values() if queue["url"] == url), {})
        # A header may be anything.
        if isinstance(headers, dict) and any(headers.get("task") == task for task in own.get("backoff_tasks") or ()):
            return int((own.get("backoff_policy") or {}).get(receives, seconds))
        return seconds

    def _restore(self, message: virtual.Message) -> None:
        """Release a message; kombu would hide it for wait_time_seconds, and needs its delivery_info.exchange."""
        self._settler(message.delivery_info["sqs_queue"]).release(message.delivery_tag)
        RECEIVING.settled(message.delivery_tag)

    def _delete_message(self, queue_name: str, message: dict[str, Any]) -> None:
        """Delete a message of a consumer that does not acknowledge."""
        self._settler(self._new_queue(queue_name)).delete(message["ReceiptHandle"])

    # Life cycle.

    def queue_declare(self, queue: str, passive: bool = False, **kwargs: Any) -> queue_declare_ok_t:
        """Declare without a request; kombu asks for the size, which costs a round trip and a permission."""
        self._new_queue(queue)
        return queue_declare_ok_t(queue, 0, 0)

    def basic_cancel(self, consumer_tag: str) -> None:
        """Stop receiving; what a request in flight still brings is released."""
        receiver = self._receivers.pop(self._tag_to_queue.get(consumer_tag, ""), None)
        if receiver:
            receiver.stop()
            self._cancelled.append(receiver)
            self.slots_changed()
        super().basic_cancel(consumer_tag)

    def close(self) -> None:
        """Release what is not settled, then wait until SQS has that and all acknowledgements.

        Wait for a long poll in flight, too: a message it brought to a dead process would stay hidden for its
        visibility timeout.
        """
        # Read first: a closed channel has no connection to read options from.
        deadline = time.monotonic() + self.wait_time_seconds + RECEIVE_GRACE_SECONDS
        super().close()
        for receiver in self._cancelled:
            receiver.join(max(0.0, deadline - time.monotonic()))
        self._give_back(self._arriving)  # A loop that has ended or was reset will not deliver them.
        self._arriving = {}
        for settler in self._settlers.values():
            settler.flush()
        if self._watched:
            if self._watched[0].fileno() in self.hub.readers:
                self.hub.remove_reader(self._watched[0])
            for end in self._watched:
                end.close()
            self._watched = None


def receives(request: Any) -> int:
    """Return how often SQS has handed out the message of a task's `request`, including this time."""
    delivery_info = (request.properties or {}).get("delivery_info", {})
    return _receives(delivery_info.get("sqs_message", {}))


def _receives(message: Mapping[str, Any]) -> int:
    """Return how often SQS has handed out a message, including this time."""
    return int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1))


class Transport(SQS.Transport):
    """Chosen by `broker_url = "sqs://"` and `broker_transport`, as `settings` sets them."""

    Channel = Channel

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Have the channels consume on the worker's loop.

        They find it by themselves only the first time: a connection error resets kombu 5.7.0's loop, which is then no
        longer the current one, and a channel of the next connection would never receive.
        """
        for channel in self.channels:
            channel.hub = loop
