"""What became of a delivery, and how it is recorded."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from botsite.threads import in_thread
from detection.record import items, timeline, times
from detection.record.schemas import Prediction

log = structlog.get_logger()

# An outage of DynamoDB that lasts longer leaves the answer to the sweep, which sends it again.
_INSIST_SECONDS = 600.0
_INSIST_AGAIN_SECONDS = 0.5


class Result(Enum):
    """What became of a delivery."""

    UNKNOWN = auto()
    NOT_FINISHED = auto()
    SOMEBODY_ELSE = auto()
    ALBUM_WAITS = auto()
    SETTLED = auto()


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of a delivery, and in how many seconds to ask again if it is not settled yet."""

    result: Result
    again_in_seconds: float | None = None


async def insist(write: Callable[..., object], *arguments: object) -> None:
    """Repeat a write until it succeeds: an answer whose outcome is lost would be sent late, or twice."""
    give_up_at = time.monotonic() + _INSIST_SECONDS
    while True:
        try:
            await in_thread(write)(*arguments)
        except items.Incomplete:
            return  # It is written; something else in the item cannot be read.
        except (ClientError, BotoCoreError) as error:
            if time.monotonic() > give_up_at:
                raise
            log.warning("delivery_unrecorded", error=str(error))
            await asyncio.sleep(_INSIST_AGAIN_SECONDS)
        else:
            return


def answer_ms(prediction: Prediction) -> int | None:
    """Return how long the sender has waited, or None if an operator stepped in, perhaps days later."""
    if prediction.acts:
        return None
    return timeline.between_ms(prediction.received_at or prediction.created_at, times.now())
