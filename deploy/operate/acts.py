"""Record in the sites' log who did what by hand, as the admin's pages do (`operator_acts`)."""

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from botsite import aws, counters
from botsite.roles import POLYBOT
from deploy.operate.shell import sessions
from deploy.service import Service
from detection.record import times


def record(service: Service, operation: str, **fields: str) -> None:
    """Write a line to the log: of CloudWatch, or of the local AWS in its folder."""
    local = bool(settings.LOG_FOLDER)
    operator = (
        os.environ.get("USER") or f"uid {os.getuid()}" if local else aws.client("sts").get_caller_identity()["Arn"]
    )
    group = "" if local else POLYBOT.log_group(service)
    event = {"time": times.text(datetime.now(UTC)), "level": "info", "event": "operator_acts"}
    event |= {"operator": operator, "operation": operation, **fields}
    line = json.dumps(counters.counted(event, group))
    if not local:
        sessions.record(group, f"operator-{socket.gethostname()}", line)
        return
    with (Path(settings.LOG_FOLDER) / f"{POLYBOT.short}-operator.log").open("a") as log:
        log.write(line + "\n")
