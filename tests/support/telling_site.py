"""A site that tells people how the wait goes, and whose jobs nobody takes but the test."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from botsite import aws, rate_limit
from deploy.local.processes import PATIENCE_SECONDS, Child, free_port, listening, wait_until
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import FileReference, TelegramUser
from detection.record import predictions
from detection.record.schemas import Prediction
from detection.work import callback
from tests.support import new_updates


@dataclass
class Site:
    """A running site."""

    stack: LocalStack
    child: Child
    address: str

    def send(self, user: TelegramUser, file: FileReference) -> int:
        """Have the site receive a photo; return the message's id."""
        # Whatever stands there: the message has to be in the chat, to be answered.
        message_id = user.send_text("hello")
        assert self.post(new_updates.with_photo(user.chat_id, file, message_id=message_id)) == 200
        return message_id

    def post(self, update: dict[str, Any]) -> int:
        """Deliver an update as Telegram does; return the status.

        First, other tests' answers get out of the way: a message about the wait is left out if the bot has no turn.
        """
        wait_until(_bot_is_idle)
        headers = {"X-Telegram-Bot-Api-Secret-Token": self.stack.env["TELEGRAM_WEBHOOK_SECRET"]}
        url = f"{self.address}/telegram/webhook"
        # As text, because JSON can hold half a character.
        body = json.dumps(update)
        return httpx.post(url, content=body, headers=headers, timeout=PATIENCE_SECONDS).status_code

    def deliver(self, prediction: Prediction) -> int:
        """Call `/results` as the worker does."""
        headers = {callback.SIGNATURE_HEADER: callback.sign(prediction.prediction_id)}
        params = {"predictionId": prediction.prediction_id}
        url = f"{self.address}/results"
        return httpx.get(url, params=params, headers=headers, timeout=PATIENCE_SECONDS).status_code


def _bot_is_idle() -> bool:
    item = predictions.find_item(rate_limit.BOT.key) or {}
    return float(item.get("next_at", 0)) <= time.time()


@contextmanager
def unread_queue() -> Iterator[str]:
    """Create a queue that no worker reads; yield its URL."""
    url = aws.client("sqs").create_queue(QueueName=f"nobody-{uuid4().hex}")["QueueUrl"]
    yield url
    aws.client("sqs").delete_queue(QueueUrl=url)


@contextmanager
def telling_site(stack: LocalStack, queue: str) -> Iterator[Site]:
    """Run one more site, whose jobs go to this queue."""
    port = free_port()
    child = stack.start_site("127.0.0.1", port, ACKNOWLEDGE="on", JOBS_QUEUE_URL=queue)
    address = stack.sites.pop(child)
    child.wait_ready(lambda: listening("127.0.0.1", port))
    yield Site(stack, child, address)
    child.terminate()
    child.wait()
