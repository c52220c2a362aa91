"""Record in the roles' logs who did what by hand, as the admin's pages do (`operator_acts`)."""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from botsite import aws, counters
from detection.record import times


def caller() -> str:
    """Return the ARN of these credentials' owner, which needs no permission."""
    return str(aws.client("sts").get_caller_identity()["Arn"])


def record_in_file(name: str, operation: str, fields: Mapping[str, str]) -> None:
    """Add a line to a log of the local AWS."""
    operator = os.environ.get("USER") or f"uid {os.getuid()}"
    with (Path(settings.LOG_FOLDER) / f"{name}.log").open("a") as log:
        log.write(_line(operator, operation, fields) + "\n")


def record_in_group(log_group: str, stream: str, operation: str, fields: Mapping[str, str]) -> None:
    """Add a line to a log group, which CloudWatch counts."""
    logs = aws.client("logs")
    with suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_stream(logGroupName=log_group, logStreamName=stream)
    event = {"timestamp": round(time.time() * 1000), "message": _line(caller(), operation, fields, log_group)}
    logs.put_log_events(logGroupName=log_group, logStreamName=stream, logEvents=[event])


def _line(operator: str, operation: str, fields: Mapping[str, str], log_group: str = "") -> str:
    event = {"time": times.text(datetime.now(UTC)), "level": "info", "event": "operator_acts"}
    return json.dumps(counters.counted({**event, "operator": operator, "operation": operation, **fields}, log_group))
