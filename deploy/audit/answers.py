"""Count, by photo, how often the sites' logs say that it was answered, or taken."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from botsite import aws, roles
from deploy.operate.log_lines import WantedLines
from deploy.operate.logs import FileLogs
from deploy.service import Service

ANSWERED = ("answer_delivered",)
TAKEN = ("job_sent", "photo_refused", "photo_repeated")
# Telegram keeps an update for so long: what is answered now may have been taken then.
TAKEN_BEFORE = timedelta(hours=25)
# CloudWatch Logs Insights returns no more rows than this of a query.
_ROWS = 10_000
_SHORTEST = timedelta(seconds=10)
_QUERY = f"filter event in {{}} | stats count(*) as times by prediction_id | limit {_ROWS}"
_LOOK_SECONDS = 0.5


class Unknown(Exception):
    """The logs can't tell; the text says why."""


def in_files(folder: Path, events: Sequence[str], since: datetime) -> Counter[str]:
    """Count events in the files of the local AWS, or copies of them."""
    if not list(folder.glob("*.log")):
        raise FileNotFoundError(f"{folder} has no log files.")
    wanted = WantedLines([roles.named("polybot")], since)
    lines = (one for one in FileLogs(folder, wanted).read() if one.event in events)
    return Counter(str(one.fields.get("prediction_id", "")) for one in lines)


def in_cloudwatch(service: Service, events: Sequence[str], since: datetime, until: datetime) -> Counter[str]:
    """Ask CloudWatch Logs Insights, in halves where it has more to say than fits one answer."""
    rows = _ask(roles.named("polybot").log_group(service), events, since, until)
    if len(rows) < _ROWS:
        return Counter({row["prediction_id"]: int(row["times"]) for row in rows if "prediction_id" in row})
    middle = since + (until - since) / 2
    if middle - since < _SHORTEST:
        raise Unknown(f"More than {_ROWS} photos have {events[0]} between {since} and {until}.")
    return in_cloudwatch(service, events, since, middle) + in_cloudwatch(service, events, middle, until)


def _ask(group: str, events: Sequence[str], since: datetime, until: datetime) -> list[Mapping[str, str]]:
    logs = aws.client("logs")
    # Both ends are part of the range: in whole seconds, halves would share one.
    query = logs.start_query(
        logGroupName=group,
        startTime=int(since.timestamp()),
        endTime=int(until.timestamp()) - 1,
        queryString=_QUERY.format(list(events)),
    )["queryId"]
    while (answer := logs.get_query_results(queryId=query))["status"] in ("Scheduled", "Running"):
        aws.pause(_LOOK_SECONDS)
    if answer["status"] != "Complete":
        raise Unknown(f"CloudWatch Logs Insights says {answer['status']}.")
    return [_row(row) for row in answer["results"]]


def _row(fields: list[dict[str, Any]]) -> Mapping[str, str]:
    return {field["field"]: field["value"] for field in fields}
