"""Say when the first worker is expected, while none works."""

import math

from metrics import wait
from metrics.backlog import Depth
from metrics.cloudwatch import Group
from metrics.service import Tracked
from metrics.wait import Starting

# The last seconds of a start can't be told.
_SOON_SECONDS = 5.0


def words(depth: Depth | None, group: Group | None, tracked: Tracked | None, now: float) -> str:
    """Return two sentences, `now` in epoch seconds; none while a worker works, or if that is unknown."""
    if depth is None or group is None or tracked is None:
        return ""
    start = wait.starting(tracked, now)
    if wait.working(depth, group.in_service, start):
        return ""
    ready = wait.ready_in(depth, group.desired, group.in_service, start)
    machines = max(group.desired, group.in_service)
    return _launched(ready[0], machines, start) if machines else _none(depth, ready)


def _none(depth: Depth, ready: list[float]) -> str:
    if not ready:
        return "No worker is running. None will start until the metric is published again."
    if depth.unfinished:
        return f"No worker is running. The first is expected in about {_rounded(ready[0])}."
    return f"No worker is running. The next photo starts one and waits about {_rounded(ready[0])}."


def _launched(seconds: float, machines: int, start: Starting) -> str:
    first = "The first" if machines == 1 else f"The first of {machines}"
    if start.launched_ago is None:
        return f"No worker is running yet. {first} is expected within {_rounded(seconds)}."
    when = "any moment" if seconds < _SOON_SECONDS else f"in about {_rounded(seconds)}"
    return f"No worker is running yet. {first} is expected {when} (launched {_rounded(start.launched_ago)} ago)."


def _rounded(seconds: float) -> str:
    """Return "40 s" or "3 min"."""
    tens = max(1, math.ceil(seconds / 10)) * 10
    return f"{tens} s" if tens < 60 else f"{max(1, round(seconds / 60))} min"
