"""Tell the site that a prediction is finished, by a signed GET of `/results`, off the worker's slots.

The call is a nudge. No failure of it fails the prediction: what is finished and not delivered is found again.
"""

import heapq
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlencode

import structlog
import urllib3
from django.conf import settings
from django.core import signing

log = structlog.get_logger()

SIGNATURE_HEADER = "X-Results-Signature"
SIGNATURE_SECONDS = 300
# The site answers once Telegram has the photo. A worker has better things to do than to wait for it, so the
# call runs beside the slots, on few threads: more would only queue at Telegram's limit.
_CALLS_AT_ONCE = 16
_TIMEOUT = urllib3.Timeout(connect=2, read=15)
# After so many tries, or with so many calls waiting, the rest is left to the sweep for undelivered results.
_TRIES = 10
_WAITING_AT_MOST = 1000
_FIRST_RETRY_SECONDS = 0.5
_LONGEST_RETRY_SECONDS = 15.0


def sign(prediction_id: str) -> str:
    """Return the value of SIGNATURE_HEADER for a call made now."""
    return _signer().sign(prediction_id)


def verify(prediction_id: str, signature: str) -> bool:
    """Return whether `signature` was made for this prediction within the last SIGNATURE_SECONDS."""
    try:
        return _signer().unsign(signature, max_age=SIGNATURE_SECONDS) == prediction_id
    except signing.BadSignature:
        return False


def start() -> None:
    """Start the threads that call. The first `notify` would too, but not if several threads are first at once."""
    _calls()


def notify(prediction_id: str) -> None:
    """Have the site called soon; return at once and never raise."""
    _calls().add(_Call(time.monotonic(), prediction_id))


def drain(timeout_seconds: float) -> None:
    """Let calls under way end, give up what waits, for at most `timeout_seconds`: the process is leaving."""
    _calls().drain(timeout_seconds)


@dataclass(order=True, slots=True)
class _Call:
    """A call to make, from `due` on (monotonic seconds)."""

    due: float
    prediction_id: str = field(compare=False)
    tries: int = field(default=0, compare=False)


class _Calls:
    """Calls by the time they are due, and the threads that make them."""

    def __init__(self) -> None:
        self._waiting: list[_Call] = []
        self._ids: set[str] = set()  # Waiting or under way: a second call would only be told so.
        self._changed = threading.Condition()
        self._leaving = False
        self._threads = [
            threading.Thread(target=self._run, name=f"callback-{number}", daemon=True)
            for number in range(_CALLS_AT_ONCE)
        ]
        for thread in self._threads:
            thread.start()

    def add(self, call: _Call) -> None:
        with self._changed:
            if call.prediction_id in self._ids:
                return
            if self._leaving or len(self._waiting) >= _WAITING_AT_MOST:
                log.warning("callback_skipped", prediction_id=call.prediction_id, waiting=len(self._waiting))
                return
            self._ids.add(call.prediction_id)
            heapq.heappush(self._waiting, call)
            self._changed.notify()

    def drain(self, timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            self._leaving = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while call := self._next():
            with structlog.contextvars.bound_contextvars(prediction_id=call.prediction_id):
                retry_seconds = _attempt(call)
            with self._changed:
                self._ids.discard(call.prediction_id)
            if retry_seconds is not None:
                self.add(_Call(time.monotonic() + retry_seconds, call.prediction_id, call.tries + 1))

    def _next(self) -> _Call | None:
        """Return the next call when it is due; None when the process is leaving and nothing is due."""
        with self._changed:
            while True:
                wait = self._waiting[0].due - time.monotonic() if self._waiting else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._waiting)
                if self._leaving:
                    return None
                self._changed.wait(wait)


def _attempt(call: _Call) -> float | None:
    """Call once; return after how many seconds to call again, or None if that settles it."""
    started = time.monotonic()
    try:
        answer = _pool().request(
            "GET",
            f"{settings.POLYBOT_URL.rstrip('/')}/results?{urlencode({'predictionId': call.prediction_id})}",
            headers={SIGNATURE_HEADER: sign(call.prediction_id)},
        )
    except urllib3.exceptions.HTTPError as error:
        return _again(call, error=str(error))
    call_ms = round((time.monotonic() - started) * 1000)
    if answer.status >= 500 or answer.status == 429:
        return _again(call, answer.headers.get("Retry-After"), status=answer.status, call_ms=call_ms)
    if answer.status != 200:
        log.error("callback_rejected", status=answer.status, call_ms=call_ms)
    return None


def _again(call: _Call, retry_after: str | None = None, **why: object) -> float | None:
    """Return the seconds until the next try: what the site asked for, else twice as many each time."""
    if call.tries + 1 >= _TRIES:
        log.warning("callback_given_up", tries=_TRIES, **why)
        return None
    seconds = min(_FIRST_RETRY_SECONDS * 2**call.tries, _LONGEST_RETRY_SECONDS)
    if retry_after and retry_after.isdecimal():
        seconds = max(seconds, float(retry_after))
    log.info("callback_postponed", retry_in_ms=round(seconds * 1000), **why)
    return seconds


@cache
def _signer() -> signing.TimestampSigner:
    return signing.TimestampSigner(key=settings.RESULTS_KEY, salt="results")


@cache
def _calls() -> _Calls:
    return _Calls()


@cache
def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(maxsize=_CALLS_AT_ONCE, timeout=_TIMEOUT, retries=False)
