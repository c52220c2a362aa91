"""Measure how long strangers wait for their answers next to chats that have many more waiting, on the local stack.

    python -m tests.bench.telling [--busy 9] [--finished 60] [--strangers 24] [--groups] [--unlimited]

So many chats have so many photos each that are finished; their jobs are sent, and one worker calls the
sites. Then strangers' jobs are sent, two a second, each for a finished photo of a chat of its own: first alone, then
with the answers waiting. So the model has no part in it, and as nothing sweeps, only the worker calls. Telegram's
limits are on, unless `--unlimited`; the sites keep to theirs. With `--groups` the busy chats are groups.

A stranger's wait is timed from the start of sending the job to the end of sending the answer. Exit code 1: a stranger's
answer came twice.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import django

from deploy.local.telegram.client import BotCall, TelegramControl, TelegramUser

if TYPE_CHECKING:
    from deploy.local.stack import LocalStack
    from detection.record.schemas import Prediction

FOLDER = Path(__file__).resolve().parents[2] / "var" / "bench"
_STORERS = 8
_BETWEEN_SECONDS = 0.5
_FIRST_STRANGER, _FIRST_BUSY = 800_000, 810_000


@dataclass(frozen=True, slots=True)
class Run:
    """What strangers waited (seconds): alone, and next to busy chats, which got so many answers a second meanwhile."""

    busy: str
    finished: int
    waiting_before: int
    waiting_after: int
    alone_median_s: float
    alone_p95_s: float
    beside_median_s: float
    beside_p95_s: float
    busy_answers_per_s: float
    doubled: int


def main() -> None:
    """Do the run; print what strangers waited."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, default=9, help="busy chats (default: %(default)s)")
    parser.add_argument("--finished", type=int, default=60, help="finished photos of each (default: %(default)s)")
    parser.add_argument("--strangers", type=int, default=24, help="strangers, twice (default: %(default)s)")
    parser.add_argument("--groups", action="store_true", help="the busy chats are groups")
    parser.add_argument("--unlimited", action="store_true", help="Telegram refuses nothing")
    options = parser.parse_args()
    os.environ |= {"DJANGO_SETTINGS_MODULE": "botsite.settings", "LOG_FORMAT": "json"}
    os.environ |= {"ACKNOWLEDGE": "off", "STORAGE_CHAT": "880000"}
    django.setup()
    run = _run(options, options.busy)
    sys.stdout.writelines(f"{name}: {value}\n" for name, value in asdict(run).items())
    sys.exit(1 if run.doubled else 0)


def _run(options: argparse.Namespace, busy: int) -> Run:
    from deploy.local import sample
    from deploy.local.stack import LocalStack

    chosen = sample.choose()
    with LocalStack(FOLDER / "telling", chosen.weights, _progress).running() as stack:
        _adopt(stack)
        control = TelegramControl(stack.telegram_url)
        control.set(rate_limits=not options.unlimited)
        chats = [(-1 if options.groups else 1) * (_FIRST_BUSY + number) for number in range(busy)]
        strangers = _store(stack, range(_FIRST_STRANGER, _FIRST_STRANGER + 2 * options.strangers), 1, chosen.photo)
        _progress("strangers alone")
        alone = _waits(control, strangers[::2])
        _progress(f"{busy} chats get {options.finished} answers each")
        _send_jobs(_store(stack, chats, options.finished, chosen.photo))
        told = _told(control, chats)
        _progress(f"strangers next to {busy * options.finished - told} answers that wait")
        began = time.monotonic()
        beside = _waits(control, strangers[1::2])
        took, then = time.monotonic() - began, _told(control, chats)
        doubled = sum(len(_answers(control, one.chat_id)) > 1 for one in strangers)
    name, total = f"{busy} {'groups' if options.groups else 'chats'}", busy * options.finished
    return Run(
        name,
        options.finished,
        total - told,
        total - then,
        *_summary(alone),
        *_summary(beside),
        busy_answers_per_s=round((then - told) / took, 1),
        doubled=doubled,
    )


def _adopt(stack: "LocalStack") -> None:
    """Have this process store what the stack's roles find, and nobody sweep."""
    from botsite import celery

    stack.adopt("IMAGES_BUCKET", "PREDICTIONS_TABLE", "JOBS_QUEUE_URL", "PREDICTION_ID_KEY")
    celery.reconfigure()
    stack.metrics.terminate()
    stack.metrics.wait()


def _store(stack: "LocalStack", chats: Sequence[int], each: int, jpeg: bytes) -> list["Prediction"]:
    """Store so many finished photos of each chat, one of each chat after the other."""
    from tests.support import finished

    def store(number: int, chat: int) -> "Prediction":
        return finished.store(chat, asked[chat], jpeg)

    asked = {chat: TelegramUser(stack.telegram_url, chat, user_id=abs(chat)).send_text("hello") for chat in chats}
    with ThreadPoolExecutor(_STORERS) as storers:
        return list(storers.map(store, *zip(*product(range(each), chats), strict=True)))


def _send_jobs(finished: Sequence["Prediction"]) -> None:
    """Send the jobs, and wait until the worker has done them."""
    from detection.work import jobs
    from tests.chaos import queues

    with ThreadPoolExecutor(_STORERS) as senders:
        list(senders.map(jobs.send, finished))
    while queues.waiting():
        time.sleep(0.1)


def _waits(control: TelegramControl, strangers: Sequence["Prediction"]) -> list[float]:
    """Send strangers' jobs, two a second; return how long each waited for the answer."""
    from detection.work import jobs

    sent: dict[int, float] = {}
    for one in strangers:
        sent[one.chat_id] = time.time()
        jobs.send(one)
        time.sleep(_BETWEEN_SECONDS)
    while not all(_answers(control, chat) for chat in sent):
        time.sleep(0.1)
    return [_end(_answers(control, chat)[0]) - at for chat, at in sent.items()]


def _answers(control: TelegramControl, chat_id: int) -> list[BotCall]:
    return [call for call in control.calls("sendPhoto", chat_id) if call.status == 200]


def _told(control: TelegramControl, chats: Sequence[int]) -> int:
    return sum(len(_answers(control, chat)) for chat in chats)


def _end(call: BotCall) -> float:
    return call.time + call.duration_ms / 1000


def _summary(waits: Sequence[float]) -> tuple[float, float]:
    return round(median(waits), 2), round(sorted(waits)[int(len(waits) * 0.95)], 2)


def _progress(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
