"""What a person prefers for all their photos: language, confidence, labels, blurred people. A caption overrides it.

One item of the table for each person who has chosen something. A site knows it for a few seconds.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite import aws
from detection import times
from detection.schemas import EVERYTHING, Options

log = structlog.get_logger()

_in_thread = sync_to_async(thread_sensitive=False)
# The other sites learn of a change after this time.
_KNOWN_FOR_SECONDS = 5.0
# Of so many people at most, which takes a megabyte.
_KNOWN_AT_MOST = 2000


@dataclass(frozen=True, slots=True)
class Preferences:
    """What somebody has chosen. `language` ("de") is empty for that of their app, `least` None for the default."""

    language: str = ""
    least: float | None = None
    labels: bool = True
    blur: bool = False

    @property
    def options(self) -> Options:
        """Return what a photo of theirs asks for if its caption says nothing else."""
        return replace(EVERYTHING, least=self.least, labels=self.labels, blur=self.blur)


NONE = Preferences()
_known: dict[int, Preferences] = {}


async def of(user_id: int | None) -> Preferences:
    """Return what somebody prefers; nothing for a channel. A table that can't be read counts as no preference."""
    if user_id is None:
        return NONE
    if user_id in _known:
        return _known[user_id]
    try:
        found = await _in_thread(read)(user_id)
    except (ClientError, BotoCoreError) as error:
        log.warning("preferences_unknown", error=str(error))
        return NONE
    _remember(user_id, found)
    return found


async def save(user_id: int, chosen: Preferences) -> None:
    """Store what somebody prefers. Raise botocore's errors."""
    await _in_thread(_write)(user_id, chosen)
    _remember(user_id, chosen)


def forget(user_id: int) -> None:
    """Forget what this process knows of somebody."""
    _known.pop(user_id, None)


def key(user_id: int) -> str:
    """Return the key of somebody's item."""
    return f"settings#{user_id}"


def read(user_id: int) -> Preferences:
    """Return what the table says now (a consistent read)."""
    response = aws.dynamodb().get_item(
        TableName=settings.PREDICTIONS_TABLE, Key={"prediction_id": key(user_id)}, ConsistentRead=True
    )
    return _preferences(response.get("Item", {}))


def _write(user_id: int, chosen: Preferences) -> None:
    least = {} if chosen.least is None else {"least": Decimal(str(chosen.least))}
    item = {
        "prediction_id": key(user_id),
        "language": chosen.language,
        "labels": chosen.labels,
        "blur": chosen.blur,
        # A deletion leaves what is chosen after it.
        "chosen_at": times.text(times.now()),
    }
    aws.dynamodb().put_item(TableName=settings.PREDICTIONS_TABLE, Item=item | least)


def _preferences(item: Mapping[str, Any]) -> Preferences:
    least = item.get("least")
    return Preferences(
        language=str(item.get("language", "")),
        least=None if least is None else float(least),
        labels=bool(item.get("labels", True)),
        blur=bool(item.get("blur", False)),
    )


def _remember(user_id: int, found: Preferences) -> None:
    """Know what was found for a while; nothing of a person stays in memory after that."""
    if user_id not in _known and len(_known) >= _KNOWN_AT_MOST:
        return
    _known[user_id] = found
    asyncio.get_running_loop().call_later(_KNOWN_FOR_SECONDS, _known.pop, user_id, None)
