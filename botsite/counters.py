"""Turn log lines into metrics with CloudWatch's embedded metric format: CloudWatch counts, and no agent runs.

See "Specification: Embedded metric format" in the CloudWatch user guide. CloudWatch Logs extracts the metrics from
every such line it receives; elsewhere they would only be noise, so they are left out.
"""

import time
from collections.abc import Mapping
from typing import Any

# Not METRIC_NAMESPACE, which only the metric role knows: the dimension tells installations apart.
NAMESPACE = "ObjectDetection/Events"
# The path of a photo, and what can go wrong on it. CloudWatch bills each metric for the hours it occurs in.
COUNTED = frozenset(
    {
        "job_sent",
        "photo_refused",
        "photo_limited",
        "photo_not_allowed",
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
# Fields of those events, in milliseconds, of which CloudWatch computes percentiles.
TIMED = ("answer_ms", "job_ms", "inference_ms")


def counted(event: Mapping[str, Any], log_group: str) -> dict[str, Any]:
    """Return the event with what makes CloudWatch count it; unchanged if it is not COUNTED or has no log group.

    The only dimension is the log group, that is, a role of an installation. Ids and chats stay fields.
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
    # The values are members of the line itself, named like the metrics.
    return {
        **event,
        name: 1,
        "LogGroup": log_group,
        "_aws": {"Timestamp": round(time.time() * 1000), "CloudWatchMetrics": [directive]},
    }
