"""Run ministack with the one thing that it lacks here: standard SQS queues that are fair between message groups.

SQS hands out the messages of quiet groups before those of a group that has many in flight; ministack 1.5.33 keeps the
group of a message and goes by age alone. Here the next message is one of the group that has the fewest before it.
"""

import sys
import time
from collections import Counter
from typing import Any

from ministack import app
from ministack.services import sqs

from deploy.local import fixups

_by_age = sqs._collect_msgs


def _fairly(queue: dict[str, Any], most: int, visibility_seconds: int) -> list[dict[str, Any]]:
    """Put a queue's messages in fair order, then take from it."""
    now = time.time()
    before: Counter[str] = Counter()

    def turn(message: dict[str, Any]) -> int:
        group = message.get("group_id") or message["id"]
        before[group] += 1
        return before[group]

    # Messages in flight count first: sorting keeps the order of equals.
    queue["messages"].sort(key=lambda message: message["visible_at"] <= now)
    queue["messages"].sort(key=turn)
    taken: list[dict[str, Any]] = _by_age(queue, most, visibility_seconds)
    return taken


if __name__ == "__main__":
    sqs._collect_msgs = _fairly
    fixups.install()
    sys.exit(app.main())
