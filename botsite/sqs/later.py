"""When a message is due. One that is not yet is sent again with a delay, for SQS holds it for 15 minutes at most."""

import math
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from celery import current_app

FARTHEST_DAYS = 366


def due_at(headers: Mapping[str, Any]) -> float:
    """Return when a message with Celery's headers is due, in seconds since the epoch; 0 if it names no time.

    Raise ValueError or TypeError for what is no time, or is so far away that nobody can have meant it.
    """
    eta = headers.get("eta")
    if eta is None:
        return 0.0
    moment = datetime.fromisoformat(eta)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=current_app.timezone)
    due = moment.timestamp()
    if due > time.time() + FARTHEST_DAYS * 86_400:
        raise ValueError(f"eta {eta} is more than {FARTHEST_DAYS} days away: have beat send the task on that day")
    return due


def delay_seconds(due: float, longest: int) -> int:
    """Return for how long SQS has to hold a message that is due then: whole seconds, too few only if the longest."""
    return max(0, min(longest, math.ceil(due - time.time())))
