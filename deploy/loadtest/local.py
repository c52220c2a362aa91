"""Bring what a load test needs on a laptop: a stack of its own, a sample photo, the fake Telegram's count of answers.

The only module here that imports `deploy.local`, and only when called: a test on AWS needs none of it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
from django.conf import settings

from deploy.loadtest.gauges import Known
from deploy.loadtest.plan import LoadTestError, Photo

if TYPE_CHECKING:
    from deploy.local.scaled_stack import ScaledStack
    from deploy.local.telegram.client import BotCall, TelegramControl

# What the test reads of the stack's environment; the rest is for the roles.
ADOPTED = (
    "PREDICTIONS_TABLE",
    "JOBS_QUEUE_URL",
    "RESULTS_KEY",
    "PREDICTION_ID_KEY",
    "TELEGRAM_WEBHOOK_SECRET",
    "TELEGRAM_API_URL",
    "TELEGRAM_TOKEN",
    "ASG_NAME",
    "METRIC_NAMESPACE",
)


def time_scale() -> float:
    """Return how many seconds a second of waiting on AWS takes here."""
    from deploy.local.scaled_stack import TIME_SCALE

    return TIME_SCALE


def where() -> str:
    """Return where the stack is, for the title."""
    return f"this machine: waiting is scaled, 1 s is {1 / time_scale():g} s on AWS"


def sample_photo(*, chosen: bool) -> bytes:
    """Return a photo that suits the model `chosen` on this machine, else a street scene for one we know nothing of."""
    from deploy.local import sample

    return sample.choose().photo if chosen else sample.everyday_photo()


@contextmanager
def stack(folder: Path, step: Callable[[str], None]) -> Iterator[Callable[[], Known]]:
    """Run the whole service for the length of the block, with Telegram's rate limits, and point this process at it.

    Yield a function that tells the states of instances and alarms: the emulator reports every instance "InService" at
    once, and raises an alarm at the first value. Raise LoadTestError if the service does not start or breaks.
    """
    from deploy.local import sample
    from deploy.local.processes import ChildFailed
    from deploy.local.scaled_stack import ScaledStack
    from deploy.local.telegram.client import TelegramControl

    running = ScaledStack(folder, sample.choose().weights, step)
    try:
        with running.running():
            running.adopt(*ADOPTED)
            TelegramControl(running.telegram_url).set(rate_limits=True)
            yield partial(known, running, running.env["ASG_NAME"])
            step("stopping the local stack")
    except ChildFailed as error:
        raise LoadTestError(str(error)) from error


def known(running: "ScaledStack", group_name: str) -> Known:
    """Return the true states. Raise ChildFailed if an instance ends whenever it is started."""
    from deploy.local.autoscaling.instances import State

    running.raise_trouble()
    fleet = running.autoscaling.fleets[group_name]
    states = [instance.state for instance in list(fleet.instances.values())]
    decision = running.autoscaling.decision(group_name)
    numbers = {
        "in_service": states.count(State.IN_SERVICE),
        "pending": states.count(State.PENDING),
        "leaving": len(fleet.leaving),
    }
    if decision is None:
        return Known(numbers, {})
    return Known(numbers, decision.alarms)


@dataclass
class Receipts:
    """What the fake Telegram has carried out since the start: answers by the message they reply to."""

    control: "TelegramControl"
    refused: int = 0
    _seen: int = 0
    _answers: Counter[int] = field(default_factory=Counter)

    def skip(self) -> None:
        """Leave out what was sent before. Raise LoadTestError if that cannot be read."""
        self._read()

    def count(self, photos: Sequence[Photo]) -> None:
        """Update the photos' `received`. Raise LoadTestError if the calls cannot be read."""
        from deploy.local.telegram.client import ANSWERING

        for call in self._read():
            if call.method in ANSWERING and call.status == httpx.codes.OK:
                self._answers.update(call.answers)
            self.refused += call.status == httpx.codes.TOO_MANY_REQUESTS
        for photo in photos:
            photo.received = self._answers[photo.message_id]

    def _read(self) -> "list[BotCall]":
        from deploy.local.telegram.client import TelegramClientError

        try:
            calls = self.control.calls(after=self._seen)
        except (TelegramClientError, httpx.HTTPError) as error:
            raise LoadTestError(str(error)) from error
        self._seen = max([self._seen, *(call.number for call in calls)])
        return calls


def receipts() -> Receipts | None:
    """Return the receipts of the fake Telegram, None if TELEGRAM_API_URL names anything else."""
    from deploy.local.telegram.client import TelegramClientError, TelegramControl

    if (urlsplit(settings.TELEGRAM_API_URL).hostname or "").endswith("telegram.org"):
        return None
    control = TelegramControl(settings.TELEGRAM_API_URL)
    try:
        control.webhook()
    except (TelegramClientError, httpx.HTTPError, ValueError):
        # A real Bot API server keeps no journal.
        return None
    return Receipts(control)
