"""Make metrics of log lines, by CloudWatch's embedded metric format: what reads the logs counts, and no agent runs.

See "Specification: Embedded metric format" in the CloudWatch user guide. CloudWatch Logs takes the metrics out of every
such line that reaches it; elsewhere they are a few fields more, so they are left out.
"""

import time
from collections.abc import Mapping
from typing import Any

# Not METRIC_NAMESPACE, which only the metric's machine knows: the dimension tells installations apart.
NAMESPACE = "ObjectDetection/Events"
# The way of a photo, and what can go wrong on it. Each is a metric, which CloudWatch bills for the hours it occurs in.
COUNTED = frozenset(
    {
        "job_sent",
        "photo_refused",
        "job_succeeded",
        "job_failed",
        "job_given_up",
        "receiving_paused",
        "answer_delivered",
        "answer_undeliverable",
        "answer_given_up",
        "update_postponed",
        "delivery_postponed",
        "update_given_up",
        "swept",
        "operator_acts",
    }
)
# What those events say of times, in milliseconds; CloudWatch makes percentiles of them.
TIMED = ("answer_ms", "job_ms", "inference_ms")


def counted(event: Mapping[str, Any], log_group: str) -> dict[str, Any]:
    """Return the event with what makes CloudWatch count it; as it is if it is none of COUNTED, or goes to no log group.

    The only dimension is the log group: an installation's role. Ids and chats stay fields.
    """
    name = event.get("event")
    if not log_group or name not in COUNTED:
        return dict(event)
    times = [{"Name": each, "Unit": "Milliseconds"} for each in TIMED if isinstance(event.get(each), int | float)]
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [["LogGroup"]],
        "Metrics": [{"Name": name, "Unit": "Count"}, *times],
    }
    # What counts are members of the line itself, under the metric's name.
    return {
        **event,
        name: 1,
        "LogGroup": log_group,
        "_aws": {"Timestamp": round(time.time() * 1000), "CloudWatchMetrics": [directive]},
    }
