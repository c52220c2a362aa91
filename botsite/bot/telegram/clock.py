"""Write times so that Telegram's apps show them in the reader's zone; in UTC where an app is older than that."""

import re
from datetime import UTC, datetime

from telegram import MessageEntity

_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)? UTC", re.ASCII)
# A short date and a short time.
_FORMAT = "dt"


def written(time: datetime) -> str:
    """Return "2026-11-26 14:05 UTC", with seconds if it has some."""
    return f"{time:%Y-%m-%d %H:%M:%S}".removesuffix(":00") + " UTC"


def entities(text: str) -> list[MessageEntity]:
    """Return what marks each time in a text that is sent."""
    found = ((match, _read(match[0])) for match in _TIME.finditer(text))
    return [
        MessageEntity(
            MessageEntity.DATE_TIME,
            _units(text[: match.start()]),
            len(match[0]),
            unix_time=time,
            date_time_format=_FORMAT,
        )
        for match, time in found
        if time
    ]


def _read(written_time: str) -> datetime | None:
    try:
        return datetime.fromisoformat(written_time.removesuffix(" UTC")).replace(tzinfo=UTC)
    except ValueError:
        # Somebody's own words.
        return None


def _units(text: str) -> int:
    """Return a length in UTF-16 units, in which Telegram counts."""
    return len(text.encode("utf-16-le")) // 2
