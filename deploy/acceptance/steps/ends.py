"""End a machine without warning, in the middle of its work."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from deploy.acceptance.context import Context
from deploy.acceptance.results import Measure, StepFailed
from deploy.acceptance.steps.photos import answers
from metrics import service

_TIMEOUT_SECONDS = 30 * 60
_LOOK_SECONDS = 0.05


@dataclass
class _Killer:
    """Kills a worker once it has photos in work."""

    run: Context
    killed: str = ""
    at: float = 0.0

    def __call__(self, over: threading.Event) -> None:
        while not over.wait(_LOOK_SECONDS) and not self.killed:
            if service.queue().in_flight:
                self.killed, self.at = self.run.place.kill_worker(), time.time()


def killed_worker(run: Context) -> Iterator[Measure]:
    """Kill a worker under a burst: what it had comes back to the queue, and everybody is answered once."""
    killer = _Killer(run)
    shot = run.camera.shoot([0.0] * run.options.photos, _TIMEOUT_SECONDS, killer)
    if not killer.killed:
        raise StepFailed("no worker was killed: none had photos in work")
    after = [photo.delivered_at - killer.at for photo in shot.photos if photo.delivered_at is not None]
    yield Measure("last answer after the kill", max(after, default=0.0), "s", f"of {killer.killed}")
    tried = [photo.prediction.attempts for photo in shot.photos if photo.prediction]
    yield Measure("photos begun again", sum(one > 1 for one in tried), "photos")
    yield from answers(run, shot)
