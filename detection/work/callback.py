"""Tell the site that a prediction is finished, by a signed GET of `/results`, off the worker's slots.

The call is a nudge. If it fails, the prediction does not: the sweep finds what is finished and not delivered.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from urllib.parse import urlencode

import structlog
import urllib3
from django.conf import settings
from django.core import signing

from botsite import keys
from detection.work.callback_queue import AT_ONCE, Call, Calls

log = structlog.get_logger()

SIGNATURE_HEADER = "X-Results-Signature"
SIGNATURE_SECONDS = 300
# A refusal with this header is about the chat: until Retry-After has passed, its other answers would be refused too.
BUSY_HEADER = "X-Chat-Busy"
# The site answers once Telegram has the photo. A worker has better things to do than wait for that, so the call
# runs outside the slots, on few threads: more would only queue at Telegram's limit.
_TIMEOUT = urllib3.Timeout(connect=2, read=15)
# After this many tries, or with this many calls waiting, the sweep finds what is undelivered.
_TRIES = 10
_WAITING_AT_MOST = 1000
_FIRST_RETRY_SECONDS = 0.5
_LONGEST_RETRY_SECONDS = 15.0
_NO_HEADERS: Mapping[str, str] = {}


def sign(prediction_id: str, key: str = "") -> str:
    """Return the value of SIGNATURE_HEADER for a call made now, signed with the newest key by default."""
    return _signer(key or keys.RESULTS.newest()).sign(prediction_id)


def verify(prediction_id: str, signature: str) -> bool:
    """Return whether `signature` was made for this prediction within the last SIGNATURE_SECONDS."""
    return keys.RESULTS.fits(lambda key: _signed(prediction_id, signature, key))


def start() -> None:
    """Start the threads that call. `notify` would, too, but more than once if several threads are first at once."""
    _calls()


def notify(prediction_id: str, chat_id: int) -> bool:
    """Have the site called soon; return at once whether there was room for the call."""
    taken = _calls().add(Call(time.monotonic(), prediction_id, chat_id))
    if not taken:
        log.warning("callback_skipped", prediction_id=prediction_id)
    return taken


def drain(timeout_seconds: float) -> None:
    """Let calls under way end and drop the others, within `timeout_seconds`: the process is leaving."""
    _calls().drain(timeout_seconds)


def _make(call: Call) -> Call | None:
    with structlog.contextvars.bound_contextvars(prediction_id=call.prediction_id):
        return _attempt(call)


def _attempt(call: Call) -> Call | None:
    """Call once; return the call to make later, or None if the matter is settled."""
    started, key = time.monotonic(), keys.RESULTS.newest()
    try:
        response = _pool().request(
            "GET",
            f"{settings.POLYBOT_URL.rstrip('/')}/results?{urlencode({'predictionId': call.prediction_id})}",
            headers={SIGNATURE_HEADER: sign(call.prediction_id, key)},
        )
    except urllib3.exceptions.HTTPError as error:
        return _again(call, error=str(error))
    call_ms = round((time.monotonic() - started) * 1000)
    if response.status >= 500 or response.status == 429:
        return _again(call, response.headers, status=response.status, call_ms=call_ms)
    if response.status == 403 and keys.RESULTS.may_fit_later(key):
        return _again(call, status=response.status, call_ms=call_ms)
    if response.status != 200:
        log.error("callback_rejected", status=response.status, call_ms=call_ms)
    return None


def _again(call: Call, headers: Mapping[str, str] = _NO_HEADERS, **why: object) -> Call | None:
    """Return the call for its next try: when the site asked for it, else after twice as long each time.

    That a chat is at its limit is not a failure: its calls wait for as long as it takes.
    """
    retry_after, chat_busy = headers.get("Retry-After", ""), BUSY_HEADER in headers
    if not chat_busy and call.tries + 1 >= _TRIES:
        log.warning("callback_given_up", tries=_TRIES, **why)
        return None
    seconds = min(_FIRST_RETRY_SECONDS * 2**call.tries, _LONGEST_RETRY_SECONDS)
    if retry_after.isdecimal():
        seconds = max(seconds, float(retry_after))
    log.debug("callback_postponed", retry_in_ms=round(seconds * 1000), **why)
    tries = call.tries if chat_busy else call.tries + 1
    return replace(call, due=time.monotonic() + seconds, tries=tries, chat_busy=chat_busy)


def _signed(prediction_id: str, signature: str, key: str) -> bool:
    try:
        return _signer(key).unsign(signature, max_age=SIGNATURE_SECONDS) == prediction_id
    except signing.BadSignature:
        return False


@cache
def _signer(key: str) -> signing.TimestampSigner:
    return signing.TimestampSigner(key=key, salt="results")


@cache
def _calls() -> Calls:
    return Calls(_make, _WAITING_AT_MOST)


@cache
def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(maxsize=AT_ONCE, timeout=_TIMEOUT, retries=False)
