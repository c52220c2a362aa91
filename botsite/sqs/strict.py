"""Refuse messages that Celery would keep or lose; what it refuses goes back to the queue, and ends as a dead letter."""

from types import NoneType
from typing import Any

from celery import Task
from celery.exceptions import InvalidTaskError
from celery.worker.request import Request


class StrictRequest(Request):
    """A request that runs now, with arguments that a function can have. Celery rejects what raises InvalidTaskError."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.eta is not None:
            # Celery would hold the message in memory until then, hidden from everybody else.
            raise InvalidTaskError(f"it asks to run at {self.eta}, and nothing here runs later")
        args, kwargs, options = self._payload
        if not (isinstance(args, list) and isinstance(kwargs, dict) and isinstance(options, dict | NoneType)):
            # Celery 5.7.0 would fail before it calls the task, and then delete the message, or keep its slot for good.
            raise InvalidTaskError("its arguments are not a list and a mapping, or its options are not one")


class StrictTask(Task):
    """A task whose requests are strict."""

    Request = "botsite.sqs.strict:StrictRequest"
