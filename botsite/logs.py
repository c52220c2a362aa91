"""Log events with fields, one JSON object per line (readable text on a terminal), without secrets.

`prediction_id` is bound once at the entrance of a request or a task:
`with structlog.contextvars.bound_contextvars(prediction_id=...)`.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

import structlog
from django.conf import settings

from botsite import counters

# A bot token, "<bot id>:<secret>", also as it appears in the address of every Bot API call.
_TOKEN = re.compile(r"(?<!\d)\d{3,}(?::|%3A)[A-Za-z0-9_-]{20,}")
_SECRET_SETTINGS = (
    "TELEGRAM_TOKEN",
    "TELEGRAM_WEBHOOK_SECRET",
    "RESULTS_KEY",
    "PREDICTION_ID_KEY",
    "SECRET_KEY",
    "ADMIN_PASSWORD",
)
# Anything shorter is not a secret, and hiding it would hide ordinary words too.
_SHORTEST_SECRET = 8
_hidden: set[str] = set()

# The id of no prediction, which are hexadecimal: `doctor` asks a site for it, and `logs` leaves that out.
PROBE = "doctor"


def _stamp(logger: Any, method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Add the time, ISO 8601, UTC, milliseconds."""
    event["time"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


_BEFORE: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    _stamp,
    structlog.processors.StackInfoRenderer(),
]

structlog.configure(
    processors=[*_BEFORE, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)


def hide(secret: str) -> None:
    """Keep `secret` out of every log line of this process, including those of libraries."""
    if len(secret) >= _SHORTEST_SECRET:
        _hidden.add(secret)


def redact(text: str) -> str:
    """Return `text` with bot tokens and every hidden secret replaced."""
    for secret in _hidden:
        text = text.replace(secret, "<hidden>")
    return _TOKEN.sub("<token>", text)


class _Redacted(logging.Formatter):
    """Format with structlog, then hide secrets in the finished line, which includes tracebacks."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return redact(self._inner.format(record))


def formatter() -> logging.Formatter:
    """Return the formatter of all handlers, which also formats what libraries log."""
    for name in _SECRET_SETTINGS:
        hide(getattr(settings, name))
    for key in settings.SECRET_KEY_FALLBACKS:
        hide(key)
    if settings.LOG_FORMAT == "text":
        after: list[Any] = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                timestamp_key="time",
                pad_event_to=20,
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    else:
        after = [
            structlog.processors.format_exc_info,
            _rename_level,
            _count,
            structlog.processors.JSONRenderer(default=str),
        ]
    return _Redacted(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_BEFORE, structlog.stdlib.ExtraAdder(), _name_logger],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *after],
        )
    )


def _name_logger(logger: Any, method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Add the logger's name to the events of libraries; botsite.sqs, which uses `logging` too, has our event names."""
    record = event.get("_record")
    if record is not None and not record.name.startswith("botsite."):
        event["logger"] = record.name
    return event


def _count(logger: Any, method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Make CloudWatch count the event, if its log group is there."""
    return counters.counted(event, settings.LOG_GROUP)


def _rename_level(logger: Any, method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Put `time`, `level` and `event` first: people read logs too."""
    first = {key: event[key] for key in ("time", "level", "event") if key in event}
    return first | dict(event)
