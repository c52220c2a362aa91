"""Link to what all roles logged about a photo."""

import re
from datetime import datetime, timedelta
from urllib.parse import quote

from django.conf import settings

from detection.schemas import Prediction

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
    region = settings.AWS_REGION
    home = f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
    return f"{home}#logsV2:logs-insights{quote(f'?queryDetail={detail}', safe='').replace('%', '$')}"


def _text(text: str) -> str:
    return re.sub(r"[^\w.-]", lambda found: "".join(f"*{byte:02x}" for byte in found[0].encode()), text, flags=re.ASCII)


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
