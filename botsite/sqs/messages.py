"""What a channel delivers: messages, and the account of those that are not yet settled."""

from typing import Any

from kombu.transport import virtual

from .receiving import RECEIVING


class Message(virtual.Message):
    """A message that Celery cannot decode goes to the dead-letter queue, although Celery acknowledges it."""

    undecodable = False

    def decode(self) -> Any:
        """Return the body; remember whether that failed."""
        try:
            return super().decode()
        except Exception:
            self.undecodable = True
            raise

    def ack(self, multiple: bool = False) -> None:
        """Acknowledge the message, or reject it if nobody could read it."""
        if self.undecodable or self.errors:
            self.reject()
        else:
            super().ack(multiple=multiple)


class QoS(virtual.QoS):
    """Tell the receivers about a free slot at once.

    Not kombu's own for SQS: that looks up a policy by routing key, which in a message may be anything.
    """

    def ack(self, delivery_tag: str) -> None:
        """Count the message as settled."""
        super().ack(delivery_tag)
        RECEIVING.settled(delivery_tag)
        self.channel.slots_changed()

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Count the message as settled, and release it if it is to be requeued."""
        super().reject(delivery_tag, requeue=requeue)
        RECEIVING.settled(delivery_tag)
        self.channel.slots_changed()

    def holds(self, delivery_tag: str) -> bool:
        """Return whether the message is delivered but not settled."""
        return delivery_tag in self._delivered and delivery_tag not in self._dirty
