"""Refuse messages that Celery would hold or lose: they go back to the queue and end as dead letters."""

import time
from types import NoneType
from typing import Any

from celery.exceptions import InvalidTaskError
from celery.worker.request import Request


class StrictRequest(Request):
    """A request to run now, with arguments a function can take. Celery rejects what raises InvalidTaskError."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.eta is not None:
            # The channel sends again what is due later, by the same clock: Celery would hold it in memory, hidden from
            # all other workers.
            if self.eta.timestamp() > time.time():
                raise InvalidTaskError(f"it asks to run at {self.eta} where only Celery's first protocol had that")
            self._eta = None
        args, kwargs, options = self._payload
        if not (isinstance(args, list) and isinstance(kwargs, dict) and isinstance(options, dict | NoneType)):
            # Celery 5.7.0 would fail before it calls the task, then delete the message or never free its slot.
            raise InvalidTaskError("its body is not a list, a mapping and optional options")
