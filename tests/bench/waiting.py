"""Measure what people wait for, on the local stack with Telegram's limits on, with acknowledgements and without.

    python -m tests.bench.waiting [--rates 8 20] [--seconds 60] [--rounds 1]

In a run so many photos a second come from 100 chats, and once a second somebody presses a button under an answer. The
sites know of no machine, although a worker answers: they acknowledge every photo, more than they ever would in service,
and most of these messages become an answer within a second.

An acknowledgement is timed from the start of sending the photo to the message's arrival, an answer likewise, a redraw
from the press to the end of the spinner. Answers are counted as people see them: a status that has become the answer
is one. Single runs are in `var/bench/waiting-<time>.json`. Goals that are missed are named: whether they count depends
on the machine, which is the cloud, too. Exit code 1: an answer is missing or came twice, a status is left, or a press
made a job.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import cycle, product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import django
import httpx
import numpy as np

from deploy import background
from deploy.local.telegram.client import ANSWERING, BotCall, Message, TelegramControl, TelegramUser

if TYPE_CHECKING:
    from deploy.local.stack import LocalStack

FOLDER = Path(__file__).resolve().parents[2] / "var" / "bench"
_CHATS = 100
_SENDERS = 24
# The goals: acknowledgements' and redrawn pictures' p95, and answers' p95 with acknowledgements to that without.
_P95_SECONDS, _RATIO = 1.0, 1.2
_PRESS_EVERY_SECONDS = 1.0
# Long enough for the backlog of a run at twice the rate that this machine can do.
_SETTLE_SECONDS = 300.0
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Run:
    """What people got at one rate. Seconds, but for the counts and the rate of answers while photos came."""

    acknowledge: str
    rate: float
    photos: int
    answers_per_s: float
    answer_median_s: float
    answer_p95_s: float
    acknowledged: int
    acknowledged_p95_s: float | None
    redrawn: int
    redrawn_p95_s: float | None
    lost: int
    doubled: int
    stale: int
    jobs: int
    refused: int

    @property
    def kept(self) -> bool:
        """Return whether each photo has one answer, nobody is left with a word on the wait, and presses made no job."""
        return not (self.lost or self.doubled or self.stale or self.jobs > self.photos)


@dataclass
class People:
    """The chats of a run, the photos they have sent with the time of each, and what became of the presses."""

    control: TelegramControl
    users: Sequence[TelegramUser]
    photo: bytes
    sent: dict[tuple[int, int], float] = field(default_factory=dict)
    redrawn: list[float] = field(default_factory=list)

    def send(self, rate: float, seconds: float) -> None:
        """Have one chat after the other send the photo, at this rate whatever becomes of the answers."""
        began = time.monotonic()
        with ThreadPoolExecutor(_SENDERS) as senders:
            photos = []
            for number, user in zip(range(round(rate * seconds)), cycle(self.users), strict=False):
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
                photos.append(senders.submit(self._send, user))
        for photo in photos:
            photo.result()

    def _send(self, user: TelegramUser) -> None:
        at = time.time()
        self.sent[user.chat_id, user.send_photo(self.photo)] = at

    @contextmanager
    def pressing(self) -> Iterator[None]:
        """Have somebody press a button once a second, within the block."""
        over = threading.Event()

        def press() -> None:
            for user in cycle(self.users):
                if over.wait(_PRESS_EVERY_SECONDS):
                    return
                self._press(user)

        pressing = background.start(press)
        try:
            yield
        finally:
            over.set()
            pressing.result()

    def _press(self, user: TelegramUser) -> None:
        """Press the first button that changes the picture of the newest answer, if there is one; time it."""
        answers = [one for one in user.messages() if one.from_bot and one.photo]
        looks = [
            button.data for one in answers[-1:] for button in one.buttons if (button.data or "").startswith("look:")
        ]
        if not looks:
            return
        began = time.monotonic()
        query = user.press(answers[-1].message_id, looks[0] or "")
        if not user.wait_for_answer(query).text:
            self.redrawn.append(time.monotonic() - began)

    def wait(self) -> None:
        """Wait until all has been answered and nobody is told to wait, or it takes too long."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < deadline:
            messages = self.messages()
            if not (any(_tells(messages)) or self._unanswered(messages)):
                return
            time.sleep(_LOOK_SECONDS)

    def messages(self) -> dict[int, list[Message]]:
        """Return all messages, by chat."""
        return {user.chat_id: user.messages() for user in self.users}

    def answers(self, messages: dict[int, list[Message]]) -> list[int]:
        """Return how many answers each photo has."""
        return [sum(one.answers(photo) for one in messages[chat]) for chat, photo in self.sent]

    def _unanswered(self, messages: dict[int, list[Message]]) -> int:
        return self.answers(messages).count(0)


def _tells(messages: dict[int, list[Message]]) -> list[Message]:
    return [one for chat in messages.values() for one in chat if one.from_bot and one.tells_of_wait]


def main() -> None:
    """Do all runs; print and save what people waited for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=float, nargs="+", default=[8, 20], help="photos a second (default: 8 20)")
    parser.add_argument("--seconds", type=float, default=60, help="how long photos come (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="runs of each kind (default: %(default)s)")
    options = parser.parse_args()
    os.environ |= {"DJANGO_SETTINGS_MODULE": "botsite.settings", "LOG_FORMAT": "json"}
    django.setup()
    from deploy.local import sample

    weights, runs = sample.repeatable(), []
    for run in _runs(options, weights):
        _progress(str(run))
        runs.append(run)
    file = FOLDER / f"waiting-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    name = Path(weights).name
    content = {"seconds": options.seconds, "weights": name, "ratios": _ratios(runs), "runs": [*map(asdict, runs)]}
    file.write_text(json.dumps(content, indent=1) + "\n")
    _say(runs, file, name)
    sys.exit(0 if all(run.kept for run in runs) else 1)


def _runs(options: argparse.Namespace, weights: str) -> Iterator[Run]:
    """Yield the runs, all on one stack: each rate without acknowledgements, then with them."""
    from deploy.local import sample
    from deploy.local.stack import LocalStack

    jobs = [0]

    def count(name: str, line: str) -> None:
        jobs[0] += name.startswith("yolo5") and '"event": "job_started"' in line

    with LocalStack(FOLDER / "waiting", weights, _progress, count).running() as stack:
        control = TelegramControl(stack.telegram_url)
        control.set(rate_limits=True)
        plan = product(range(1, options.rounds + 1), options.rates, ("off", "on"))
        for number, (round_number, rate, acknowledge) in enumerate(plan):
            _progress(f"round {round_number}: {rate:g} photos/s, acknowledgements {acknowledge}")
            _replace_sites(stack, acknowledge)
            people = _people(stack, control, number, sample.suiting(weights))
            before, newest = jobs[0], control.calls()[-1].number
            with people.pressing():
                people.send(rate, options.seconds)
            people.wait()
            calls = control.calls(after=newest)
            yield _measured(acknowledge, rate, people, calls, jobs[0] - before, options.seconds)


def _replace_sites(stack: "LocalStack", acknowledge: str) -> None:
    """Restart the sites with acknowledgements "on" or "off"."""
    old = dict(stack.sites)
    stack.sites.clear()
    for site, address in old.items():
        site.terminate()
        site.wait()
        place = urlsplit(address)
        stack.start_site(place.hostname or "", place.port or 0, ACKNOWLEDGE=acknowledge)
    for site, address in stack.sites.items():
        site.wait_ready(partial(_answers, f"{address}/readyz"))


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def _people(stack: "LocalStack", control: TelegramControl, number: int, photo: bytes) -> People:
    first = 700_000 + number * _CHATS
    users = [TelegramUser(stack.telegram_url, chat_id) for chat_id in range(first, first + _CHATS)]
    return People(control, users, photo)


def _measured(
    acknowledge: str, rate: float, people: People, calls: Sequence[BotCall], jobs: int, seconds: float
) -> Run:
    ended = {(call.chat_id or 0, call.reply_to or 0): _end(call) for call in reversed(calls) if _is_answer(call)}
    waits = [ended[photo] - at for photo, at in people.sent.items() if photo in ended]
    told = _acknowledged(people, calls)
    began = min(people.sent.values())
    messages = people.messages()
    answers = people.answers(messages)
    return Run(
        acknowledge,
        rate,
        photos=len(people.sent),
        answers_per_s=round(sum(end < began + seconds for end in ended.values()) / seconds, 2),
        answer_median_s=round(median(waits), 2),
        answer_p95_s=_p95(waits) or 0.0,
        acknowledged=len(told),
        acknowledged_p95_s=_p95(told),
        redrawn=len(people.redrawn),
        redrawn_p95_s=_p95(people.redrawn),
        lost=answers.count(0),
        doubled=sum(count > 1 for count in answers),
        stale=len(_tells(messages)),
        jobs=jobs,
        refused=sum(call.status == 429 for call in calls),
    )


def _is_answer(call: BotCall) -> bool:
    return call.method in ANSWERING and call.status == 200 and call.reply_to is not None


def _end(call: BotCall) -> float:
    return call.time + call.duration_ms / 1000


def _acknowledged(people: People, calls: Sequence[BotCall]) -> list[float]:
    """Return how long after its photo each acknowledgement came: it is about the chat's newest photo before it."""
    sent: dict[int, list[float]] = {}
    for (chat, _), at in people.sent.items():
        sent.setdefault(chat, []).append(at)
    told = [call for call in calls if call.method == "sendMessage" and call.status == 200 and call.reply_to is None]
    return [_end(call) - max(at for at in sent[call.chat_id or 0] if at < call.time) for call in told]


def _p95(seconds: Sequence[float]) -> float | None:
    return round(float(np.percentile(seconds, 95, method="higher")), 2) if seconds else None


def _ratios(runs: Sequence[Run]) -> dict[str, float]:
    """Return for each rate how many times as long the answers' p95 is with acknowledgements: the median of rounds."""
    ratios: dict[str, list[float]] = {}
    for off, on in zip(runs[::2], runs[1::2], strict=True):
        ratios.setdefault(f"{on.rate:g}", []).append(on.answer_p95_s / off.answer_p95_s)
    return {rate: round(median(each), 2) for rate, each in ratios.items()}


def _say(runs: Sequence[Run], file: Path, weights: str) -> None:
    names = list(asdict(runs[0]))
    rows = [names, ["---"] * len(names), *([str(value) for value in asdict(run).values()] for run in runs)]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    ratios = ", ".join(f"{ratio} at {rate} photos/s" for rate, ratio in _ratios(runs).items())
    missed = "\n".join(_missed(runs)) or "No goal is missed."
    sys.stdout.write(f"{table}\n\nAnswers' p95, on to off: {ratios}. Weights: {weights}. All runs: {file}\n{missed}\n")


def _missed(runs: Sequence[Run]) -> Iterator[str]:
    """Yield a line for each goal that a rate misses."""
    for rate, ratio in _ratios(runs).items():
        if ratio > _RATIO:
            yield f"Missed at {rate} photos/s: answers take {ratio} times as long, instead of {_RATIO} at most."
    for run in runs:
        times = {"acknowledgements": run.acknowledged_p95_s, "redrawn pictures": run.redrawn_p95_s}
        for name, seconds in times.items():
            if seconds is not None and seconds > _P95_SECONDS:
                yield (
                    f"Missed at {run.rate:g} photos/s, ACKNOWLEDGE={run.acknowledge}: the p95 of {name} is"
                    f" {seconds:g} s, instead of {_P95_SECONDS:g} s at most."
                )


def _progress(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
