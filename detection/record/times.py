"""Convert the times of items: aware datetimes in UTC here, ISO 8601 with milliseconds and a Z on the wire."""

from datetime import UTC, datetime, timedelta

# Older than anything; as text, too, it comes first.
NEVER = datetime.min.replace(tzinfo=UTC)


def now(offset: timedelta = timedelta()) -> datetime:
    """Return the current time, or the one `offset` later."""
    return datetime.now(UTC) + offset


def text(time: datetime) -> str:
    """Return a time as items hold it. Texts compare like the times themselves, which DynamoDB's conditions rely on."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read(text: str) -> datetime:
    """Return the time that a text gives; without a zone it is UTC. Raise ValueError if it gives none."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def parse(text: str | None) -> datetime | None:
    """Return the time that a text of any origin gives, or None if it gives none."""
    try:
        return read(text) if text else None
    except ValueError:
        return None


def latest(*times: datetime | None) -> datetime:
    """Return the latest of the times that are known, NEVER if none is."""
    return max(filter(None, times), default=NEVER)
