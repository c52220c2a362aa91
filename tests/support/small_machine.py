"""Run the metric and the worker on standby, each under its limit on a small machine, and send them hostile files."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from botsite.roles import METRIC_STREAMER, YOLO5
from deploy.local import roles
from deploy.local.processes import Child
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from tests.chaos.memory import Memory, working_group
from tests.support.hostile import Hostile

# The metric's is that of a t3.micro (tests/deploy/test_docker.py). The worker has 499 MB there and 1,023 MB of swap;
# without swap here, it has to do with about half of their sum.
LIMITS_MB = {"metrics": 249, "standby": 800}
PERIOD_SECONDS = 5.0
_EVERY_SECONDS, _ANSWER_SECONDS = 1.0, 120.0
_PUBLISHED = re.compile(r'"time": "([^"]+)"[^\n]*"event": "metrics_published"')


@dataclass
class Small(LocalStack):
    """A stack whose metric and standby worker are limited as on a small machine."""

    memory: Memory = field(default_factory=lambda: Memory(group=working_group(), limits_mb=LIMITS_MB))

    def start_worker(self, **env: str) -> Child:
        """Start the worker on standby."""
        ours = {"STANDBY_WORKER": "on", "LIVENESS_FILE": str(self.folder / "standby-alive")}
        self.workers.append(self._limited("standby", roles.celery(YOLO5, "standby"), ours))
        return self.workers[-1]

    def start_metrics(self) -> Child:
        """Start the metric."""
        ours = {"METRIC_PERIOD_SECONDS": str(PERIOD_SECONDS), "LIVENESS_FILE": str(self.folder / "metrics-alive")}
        self.metrics = self._limited("metrics", roles.celery(METRIC_STREAMER, "metrics"), ours)
        return self.metrics

    def _limited(self, name: str, command: list[str], env: dict[str, str]) -> Child:
        child = self.children.start(name, self.memory.command(name, command), self.env | env | {"LOG_FORMAT": "json"})
        self.memory.watch(child)
        return child


@dataclass(frozen=True)
class Outcome:
    """What came of the files: how many, how many of them unanswered, peaks in MB (PSS), kills, and seconds."""

    files: int
    unanswered: int
    peaks: dict[str, int]
    kills: int
    longest_gap: float

    def __str__(self) -> str:
        peaks = ", ".join(f"{name} {peak} MB" for name, peak in self.peaks.items())
        return (
            f"{self.files} files and photos, {self.unanswered} unanswered; {self.kills} processes killed; peaks (PSS): "
            f"{peaks}; longest gap of the metric {self.longest_gap:.1f} s at a period of {PERIOD_SECONDS:g} s"
        )


def throw(stack: Small, photo: bytes, files: Sequence[Hostile]) -> Outcome:
    """Send each file, and a photo of somebody else with it; return what came of that."""
    sent = []
    for number, hostile in enumerate(files):
        data, due = hostile.make(), time.monotonic() + _EVERY_SECONDS
        stranger, person = (TelegramUser(stack.telegram_url, 10_000 + 2 * number + one) for one in (0, 1))
        assert stack.workers[0].running, f"the worker ended before {hostile.name}: {stack.memory.peaks}"
        sent += [(person, person.send_photo(photo)), (stranger, stranger.send_document(data, hostile.filename))]
        time.sleep(max(0.0, due - time.monotonic()))
    answered = sum(_answered(user, message) for user, message in sent)
    peaks = {name: round(peak) for name, peak in stack.memory.peaks.items()}
    return Outcome(len(sent), len(sent) - answered, peaks, stack.memory.kills(), _longest_gap(stack))


def _answered(user: TelegramUser, message_id: int) -> bool:
    try:
        user.wait_for_reply(message_id, _ANSWER_SECONDS)
    except TimeoutError:
        return False
    return True


def _longest_gap(stack: Small) -> float:
    text = (stack.folder / "logs" / "metrics.log").read_text()
    at = [datetime.fromisoformat(found) for found in _PUBLISHED.findall(text)]
    return max((later - earlier).total_seconds() for earlier, later in pairwise(at))
