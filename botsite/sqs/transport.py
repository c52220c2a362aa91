"""Carry Celery's messages over Amazon SQS with no network call on the worker's event loop.

kombu 5.7.0 receives with curl on the event loop: one failed ReceiveMessage stops the worker or, silently, its
polling; one that is never answered stops it for ever; a free slot is found by polling; and each acknowledgement
holds the loop for a round trip. Here every queue has a thread that receives, for as many messages as there are free
slots, and a thread that settles (deletes or releases) what the worker is done with. The loop hands over messages.
botocore makes all requests, so its credentials, timeouts, endpoint and CA bundle settings hold for all of them.
The pool has to be one of threads: a forking one would copy these threads' locks into its children.

Delivery is at least once: what is not deleted comes back after the queue's visibility timeout. A rejected message
comes back too, later each time, and SQS counts: at last it is in the dead-letter queue, which every queue needs.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from botocore.config import Config
from kombu.transport import SQS, virtual
from kombu.transport.virtual.base import queue_declare_ok_t

from botsite.sqs.receiving import RECEIVING
from botsite.sqs.threads import BATCH, GATHER_SECONDS, Receiver, Settler

RECEIVE_GRACE_SECONDS = 3  # A long poll unanswered for longer than its wait and this is a dead connection.
FIRST_RETRY_SECONDS = 5
LONGEST_RETRY_SECONDS = 60
RECOUNT_SECONDS = 1.0  # A changed prefetch count is noticed within this; a settled message is at once.

log = structlog.get_logger(__name__)


def transport_options(region: str, queues: Mapping[str, str]) -> dict[str, Any]:
    """Return Celery's `broker_transport_options` for logical queue names and the URLs behind them."""
    return {
        "region": region,
        # Known URLs need neither ListQueues nor CreateQueue, so a role may have only what it uses.
        "predefined_queues": {name: {"url": url} for name, url in queues.items()},
        # Ten seconds make six requests an idle minute; a message ends the wait at once whatever its length.
        "wait_time_seconds": 10,
        # Sending runs in a web request: fail it early rather than after botocore's 60 s and five attempts.
        "client-config": {
            "connect_timeout": 2,
            "read_timeout": 5,
            "tcp_keepalive": True,
            "retries": {"mode": "standard", "total_max_attempts": 3},
        },
        # Both encodings off leave plain JSON in the queue: readable in the dead-letter queue, and 44 % smaller.
        "sqs_base64_encoding": False,
        "body_encoding": None,
    }


def receives(message: Mapping[str, Any]) -> int:
    """Return how often SQS has handed a message out, this time included."""
    return int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1))


def retry_seconds(times: int) -> int:
    """Return how long a message that was received so many times, and failed, waits for the next try.

    5, 10, 20 and 40 s, then a minute each time.
    """
    return min(FIRST_RETRY_SECONDS * 2 ** (times - 1), LONGEST_RETRY_SECONDS)


class Message(virtual.Message):
    """A message that Celery cannot decode is left to the dead-letter queue, though Celery acknowledges it."""

    undecodable = False

    def decode(self) -> Any:
        """Return the body, and remember if there is none to return."""
        try:
            return super().decode()
        except Exception:
            self.undecodable = True
            raise

    def ack(self, multiple: bool = False) -> None:
        """Acknowledge the message, unless nobody could read it."""
        if self.undecodable or self.errors:
            self.reject()
        else:
            super().ack(multiple=multiple)


class QoS(virtual.QoS):
    """Tell the receivers of a free slot the moment it is free.

    Not kombu's of SQS: that looks for a policy by the routing key, which a message may give as anything.
    """

    def ack(self, delivery_tag: str) -> None:
        """Count the message as settled."""
        super().ack(delivery_tag)
        RECEIVING.settled(delivery_tag)
        self.channel.slots_changed()

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Count the message as settled, and give it back if it is to be queued again."""
        super().reject(delivery_tag, requeue=requeue)
        RECEIVING.settled(delivery_tag)
        self.channel.slots_changed()

    def holds(self, delivery_tag: str) -> bool:
        """Return whether the message is delivered and not settled."""
        return delivery_tag in self._delivered and delivery_tag not in self._dirty


class Channel(SQS.Channel):
    """Consume through a receiver and a settler for each queue; publish as kombu does."""

    QoS = QoS
    Message = Message

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._urls: dict[str, str] = {}
        self._receivers: dict[str, Receiver] = {}
        self._cancelled: list[Receiver] = []
        self._settlers: dict[str, Settler] = {}
        self._slots = threading.Condition()
        # Received, and not yet counted by qos as delivered: receipt handles and their queues.
        self._arriving: dict[str, str] = {}
        self._watched: tuple[socket.socket, socket.socket] | None = None

    @property
    def last_receive(self) -> float | None:
        """Tell when the slowest queue's last ReceiveMessage ended, well or badly (monotonic seconds).

        A receiver with no free slot does not receive: judge the age only while `qos.can_consume()`.
        """
        return min((receiver.last_receive for receiver in list(self._receivers.values())), default=None)

    def held(self) -> dict[str, list[str]]:
        """Return the receipt handles of the messages in work, by queue URL. May be called from any thread."""
        handles: dict[str, list[str]] = {}
        # `list` of a dict's items is one step for other threads.
        for tag, message in list(self.qos._delivered.items()):
            if self.qos.holds(tag):
                handles.setdefault(message.delivery_info["sqs_queue"], []).append(tag)
        return handles

    # Receiving: `_schedule_queue` and `_deliver` run on the event loop, the others in a receiver's thread.

    def _schedule_queue(self, queue: str) -> None:
        """Start receiving: kombu schedules this once for each consumer of a queue."""
        if queue not in self._active_queues or queue in self._receivers:
            return
        if self._watched is None:
            # kombu 5.7.0's event loop sleeps for up to 0.1 s instead of polling while it watches no file at all, so
            # that messages and acknowledgements from threads would wait for it. Give it one that never has news.
            self._watched = socket.socketpair()
            self.hub.add_reader(self._watched[0], lambda: None)
        queue_url = self._urls[queue] = self._new_queue(queue)
        self._settler(queue_url)
        config = Config(
            read_timeout=self.wait_time_seconds + RECEIVE_GRACE_SECONDS,
            retries={"total_max_attempts": 1},  # The receiver retries, and says so in the log.
        )
        user, password = self.conninfo.userid, self.conninfo.password  # Both None: boto3's chain has the credentials.
        client = self._new_boto_client("sqs", self.region, user, password, config=config)
        attributes = {name: values for name, values in self.get_message_attributes.items() if values}
        request = {"QueueUrl": queue_url, "WaitTimeSeconds": self.wait_time_seconds, **attributes}
        self._receivers[queue] = Receiver(queue, client.receive_message, request, self.wait_for_slots, self.arrived)

    def wait_for_slots(self, stopped: threading.Event, gather: bool) -> int:
        """Return how many messages to ask for: 1 to 10 as soon as there is room, or 0 after a while.

        With `gather`, when more messages are likely to wait, let a quarter of the slots run dry first, but for no
        longer than 0.1 s: one request then fetches several.
        """
        with self._slots:
            self._slots.wait_for(lambda: stopped.is_set() or self._free() > 0, RECOUNT_SECONDS)
            if gather:
                quarter = min(BATCH, self.qos.prefetch_count // 4)
                self._slots.wait_for(lambda: stopped.is_set() or self._free() >= quarter, GATHER_SECONDS)
            return 0 if stopped.is_set() else min(BATCH, self._free())

    def _free(self) -> int:
        free = self.qos.can_consume_max_estimate()
        return BATCH if free is None else max(0, free - len(self._arriving))

    def slots_changed(self) -> None:
        """Let the receivers count the free slots again."""
        with self._slots:
            self._slots.notify_all()

    def arrived(self, queue: str, messages: list[dict[str, Any]], stopped: threading.Event) -> None:
        """Pass messages to the event loop or, if the consumer has gone meanwhile, back to the queue."""
        arriving = {message["ReceiptHandle"]: queue for message in messages}
        if stopped.is_set():  # The loop may have stopped turning.
            self._give_back(arriving)
            return
        with self._slots:
            self._arriving |= arriving
        self.hub.call_soon(self._deliver, queue, messages)

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
            callback(self._message_to_python(message, queue, self._new_queue(queue)))
        except Exception:
            log.exception("message_failed", queue=queue, message_id=message.get("MessageId"))
            # It comes back, later each time, and ends as a dead letter.
            self.basic_reject(message["ReceiptHandle"])
        if not self.qos.holds(message["ReceiptHandle"]):
            # Nobody could make a message of it, or its consumer does not acknowledge.
            RECEIVING.settled(message["ReceiptHandle"])

    # Settling: all on the event loop, and none of it waits for the network.

    def _settler(self, queue_url: str) -> Settler:
        if queue_url not in self._settlers:
            self._settlers[queue_url] = Settler(self.sqs(), queue_url)
        return self._settlers[queue_url]

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        """Have the message deleted; its slot is free from now on."""
        if self.qos.holds(delivery_tag):
            delivery_info = self.qos.get(delivery_tag).delivery_info
            self._settler(delivery_info["sqs_queue"]).delete(delivery_tag)
            self.qos.ack(delivery_tag)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Give the message back: now with `requeue`, else later each time, until it is a dead letter."""
        if self.qos.holds(delivery_tag):
            if not requeue:
                delivery_info = self.qos.get(delivery_tag).delivery_info
                wait_seconds = retry_seconds(receives(delivery_info["sqs_message"]))
                self._settler(delivery_info["sqs_queue"]).release(delivery_tag, wait_seconds)
            self.qos.reject(delivery_tag, requeue=requeue)

    def _restore(self, message: virtual.Message) -> None:
        """Release a message: kombu would hide it for wait_time_seconds, and need its delivery_info.exchange."""
        self._settler(message.delivery_info["sqs_queue"]).release(message.delivery_tag)
        RECEIVING.settled(message.delivery_tag)

    def _delete_message(self, queue_name: str, message: dict[str, Any]) -> None:
        """Delete a message of a consumer that does not acknowledge."""
        self._settler(self._new_queue(queue_name)).delete(message["ReceiptHandle"])

    # Life cycle.

    def queue_declare(self, queue: str, passive: bool = False, **kwargs: Any) -> queue_declare_ok_t:
        """Declare without a request: kombu asks for the size, which costs a round trip and a permission."""
        self._new_queue(queue)
        return queue_declare_ok_t(queue, 0, 0)

    def basic_cancel(self, consumer_tag: str) -> None:
        """Stop receiving; what a request under way still brings is released."""
        receiver = self._receivers.pop(self._tag_to_queue.get(consumer_tag, ""), None)
        if receiver:
            receiver.stop()
            self._cancelled.append(receiver)
            self.slots_changed()
        super().basic_cancel(consumer_tag)

    def close(self) -> None:
        """Release what is not settled, then wait until it and all acknowledgements are with SQS.

        A long poll under way is waited for too: a message that it brought to a process that has ended would stay
        hidden for its visibility timeout.
        """
        # Asked first: a closed channel has no connection whose options it could read.
        deadline = time.monotonic() + self.wait_time_seconds + RECEIVE_GRACE_SECONDS
        super().close()
        for receiver in self._cancelled:
            receiver.join(max(0.0, deadline - time.monotonic()))
        self._give_back(self._arriving)  # A loop that has ended or was reset delivers none of them.
        self._arriving = {}
        for settler in self._settlers.values():
            settler.flush()
        if self._watched:
            if self._watched[0].fileno() in self.hub.readers:
                self.hub.remove_reader(self._watched[0])
            for end in self._watched:
                end.close()
            self._watched = None


class Transport(SQS.Transport):
    """Choose with `broker_url = "sqs://"` and `broker_transport = "botsite.sqs:Transport"`."""

    Channel = Channel

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Have the channels consume on the worker's loop.

        They find it by themselves the first time only: a connection error resets kombu 5.7.0's loop, which then is no
        longer the current one, and a channel of the next connection would never receive.
        """
        for channel in self.channels:
            channel.hub = loop
