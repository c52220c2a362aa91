"""Tell how long a photo that comes now will wait: for a machine that starts, for other photos, for Telegram's limit.

All times are in seconds.
"""

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from django.conf import settings

from botsite import pause, rate_limit, standby
from metrics import service
from metrics.backlog import BadSetting, Depth, positive
from metrics.cloudwatch import STALE_AFTER_SECONDS, Group
from metrics.service import MetricFailed, Tracked

log = structlog.get_logger()

# People are told "about 3 min": a reading serves many of them, and none is told an old one.
_READ_EVERY_SECONDS, _KNOWN_FOR_SECONDS = 12.0, 30.0
# The period of the alarm that starts the first machine, at most.
_ALARM_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Starting:
    """How the group starts machines: `boot` is from a launch to the first photo, `period` that of the metric.

    `unserved` is the age of the newest point that says that photos wait without a machine, None without one: the alarm
    on it launches the first machines. Only a metric that is `published` does.
    """

    boot: float
    period: float
    unserved: float | None = None
    published: bool = True

    def launches_in(self, waiting: bool) -> float:
        """Return when a group without machines launches its first one: for a photo that is `waiting`, or comes now."""
        if not waiting or self.unserved is None or self.unserved > 2 * self.period:
            return self.period + self._alarm
        return max(0.0, self._alarm - self.unserved)

    @property
    def launched_ago(self) -> float | None:
        """Return how long ago the group launched its first machine; None if that is unknown, or too long ago to matter.

        The metric dates it: EC2 has an instance in service long before its worker is.
        """
        # Later than this, a job that waits for a moment says nothing about the start.
        if self.unserved is None or self.unserved > 2 * (self.boot + self._alarm):
            return None
        return max(0.0, self.unserved - self._alarm)

    @property
    def _alarm(self) -> float:
        return min(self.period, _ALARM_SECONDS)


def starting(tracked: Tracked, now: float) -> Starting:
    """Return how the group starts machines, `now` in epoch seconds."""
    unserved = [point.at for point in tracked.unserved if point.value > 0]
    newest = tracked.points[-1].at if tracked.points else -math.inf
    return Starting(
        boot=tracked.boot_seconds,
        period=tracked.period_seconds,
        unserved=max(0.0, now - unserved[-1]) if unserved else None,
        published=now - newest <= STALE_AFTER_SECONDS,
    )


def working(depth: Depth, in_service: int, start: Starting) -> int:
    """Return how many machines work: none while the first ones may be booting and nobody takes a job."""
    return in_service if _served(depth) or start.launched_ago is None else 0


def ready_in(depth: Depth, desired: int, in_service: int, start: Starting) -> list[float]:
    """Return for each machine in how many seconds it works, 0 if it does; for none that of the one to be launched.

    The list is empty if none will be launched.
    """
    machines = max(desired, in_service)
    if not machines:
        first = start.launches_in(waiting=depth.unfinished > 0) + start.boot
        return [first] if start.published else []
    now = working(depth, in_service, start)
    left = max(0.0, start.boot - (start.launched_ago or 0.0))
    return [0.0] * now + [left] * (machines - now)


def seconds(photos: int, ready: Sequence[float], photos_per_second: float) -> float | None:
    """Return when so many photos are answered by machines that work from `ready` on; None without machines.

    Each machine does `photos_per_second` from then on, and the bot may send so many messages a second in all.
    """
    if not ready:
        return None
    positive("PHOTOS_PER_SECOND", photos_per_second)
    by_start = sorted(ready)
    # The first n machines alone need (work + sum of their starts) / n: more of them help until one comes too late.
    done = min((photos / photos_per_second + sum(by_start[:n])) / n for n in range(1, len(by_start) + 1))
    limit = rate_limit.BOT
    return max(done, by_start[0] + max(0, photos - limit.burst) * limit.interval_seconds)


@dataclass(frozen=True, slots=True)
class Outlook:
    """How many photos wait, and in how many seconds each machine works."""

    photos: int
    ready: Sequence[float]

    @property
    def starting(self) -> bool:
        """Return whether no machine works yet."""
        return not any(seconds == 0 for seconds in self.ready)

    def after(self, photos: int) -> float | None:
        """Return when a photo with so many before it is answered, in seconds; None if that is unknown."""
        return seconds(photos, self.ready, settings.PHOTOS_PER_SECOND)


def expected() -> float | None:
    """Return in how many seconds a photo that comes now will be answered, None if that is unknown.

    It is about 0 while a machine is idle, and a boot while none works. Ask as `outlook` is asked.
    """
    now = outlook()
    return now.after(now.photos) if now else None


def outlook() -> Outlook | None:
    """Return what the next answers wait for, None if that is unknown.

    Ask it for each photo, from any thread: it never raises, reads AWS every 12 s at most, and only the one that reads
    waits for AWS.
    """
    return _latest.get()


class _Latest:
    """The last known value. Those who ask during a reading get the one before, unless it is too old."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_at = -math.inf
        self._value: Outlook | None = None

    def get(self) -> Outlook | None:
        if self._lock.acquire(blocking=False):
            try:
                if time.monotonic() - self._read_at > _READ_EVERY_SECONDS:
                    self._value = _read()
                    self._read_at = time.monotonic()
            finally:
                self._lock.release()
        return self._value if time.monotonic() - self._read_at <= _KNOWN_FOR_SECONDS else None


_latest = _Latest()


def _read() -> Outlook | None:
    if pause.current():
        return None
    try:
        positive("PHOTOS_PER_SECOND", settings.PHOTOS_PER_SECOND)
        depth, group = service.queue(), service.group()
        return Outlook(depth.unfinished, _ready_in(depth, group, standby.heard()))
    except (MetricFailed, BadSetting) as error:
        log.warning("wait_unknown", error=str(error))
        return None


def _ready_in(depth: Depth, group: Group, on_standby: bool) -> list[float]:
    """Read how machines start only while one may be starting: unlike the queue and the group, metrics cost money.

    A worker on standby is a machine that works. Alone it starts no other, unless more waits than it can do.
    """
    now = [0.0] * on_standby
    if (0 < group.desired <= group.in_service and _served(depth)) or (now and not group.desired):
        return now + [0.0] * group.in_service
    return now + ready_in(depth, group.desired, group.in_service, starting(service.tracked(), time.time()))


def _served(depth: Depth) -> bool:
    """Return whether the queue shows that a worker takes its jobs: it is empty, or some are in work."""
    return depth.in_flight > 0 or not depth.visible
