"""The line in the log that says who opened a shell, as the admin's pages say who did what (`operator_acts`)."""

import json
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime

from botsite import counters
from detection.record import times


def line(operator: str, machine: str, command: Sequence[str], log_group: str = "") -> str:
    """Return the line, which CloudWatch counts if it goes to a log group."""
    event = {
        "time": times.text(datetime.now(UTC)),
        "level": "info",
        "event": "operator_acts",
        "operator": operator,
        "operation": "exec",
        "machine": machine,
        "command": shlex.join(command) or "shell",
    }
    return json.dumps(counters.counted(event, log_group))
