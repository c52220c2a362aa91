"""Link to what all roles logged about a photo, and to what a machine logged."""

import re
from datetime import datetime, timedelta
from urllib.parse import quote

from django.conf import settings

from botsite import roles
from detection.record.schemas import Prediction

QUERY = 'fields @timestamp, level, event, @message | filter prediction_id = "{}" | sort @timestamp'
_BEFORE, _AFTER = timedelta(minutes=1), timedelta(days=1)


def of(prediction: Prediction) -> str | None:
    """Return the address of a CloudWatch Logs Insights query for this photo, or None without log groups.

    The console keeps the query in the fragment, in its own notation (jsurl): ~( ) around an object, ~' before a text,
    * before a hexadecimal byte, and $ for the % of the usual escapes.
    """
    stored = prediction.created_at
    if not (settings.LOG_GROUPS and stored):
        return None
    query = QUERY.format(prediction.prediction_id)
    groups = "".join("~'" + _text(group) for group in settings.LOG_GROUPS)
    detail = (
        f"~(end~'{_text(_iso(stored + _AFTER))}~start~'{_text(_iso(stored - _BEFORE))}~timeType~'ABSOLUTE~tz~'UTC"
        f"~editorString~'{_text(query)}~source~({groups}))"
    )
    return f"{_console()}#logsV2:logs-insights{quote(f'?queryDetail={detail}', safe='').replace('%', '$')}"


def of_machine(role: str, machine: str) -> str:
    """Return the address of a machine's log, empty without log groups.

    Its stream has its id (deploy/docker/run.sh). The console escapes what is in the fragment twice.
    """
    short = roles.named(role).short
    group = next((group for group in settings.LOG_GROUPS if group.endswith(f"/{short}")), "")
    if not group:
        return ""
    escaped = quote(quote(group, safe=""), safe="").replace("%", "$")
    return f"{_console()}#logsV2:log-groups/log-group/{escaped}/log-events/{machine}"


def of_alarm(name: str) -> str:
    """Return the address of an alarm in the console, empty without log groups."""
    return f"{_console()}#alarmsV2:alarm/{quote(name, safe='')}" if settings.LOG_GROUPS else ""


def _console() -> str:
    region = settings.AWS_REGION
    return f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"


def _text(text: str) -> str:
    return re.sub(r"[^\w.-]", lambda found: "".join(f"*{byte:02x}" for byte in found[0].encode()), text, flags=re.ASCII)


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
