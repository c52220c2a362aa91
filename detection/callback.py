"""Tell the site that a prediction is finished, by a signed GET of `/results`, off the worker's slots.

The call is a nudge. No failure of it fails the prediction: what is finished and not delivered is found again.
"""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
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
_RETRY_AFTER_SECONDS = (0.5, 1, 2, 4, 8)
# With the site down for long, what is not called is found by the sweep for undelivered results.
_WAITING_AT_MOST = 1000

_pending: set[Future[None]] = set()
_stopping = threading.Event()


def sign(prediction_id: str) -> str:
    """Return the value of SIGNATURE_HEADER for a call made now."""
    return _signer().sign(prediction_id)


def verify(prediction_id: str, signature: str) -> bool:
    """Return whether `signature` was made for this prediction within the last SIGNATURE_SECONDS."""
    try:
        return _signer().unsign(signature, max_age=SIGNATURE_SECONDS) == prediction_id
    except signing.BadSignature:
        return False


def notify(prediction_id: str) -> None:
    """Have the site called soon; return at once and never raise."""
    if _stopping.is_set() or len(_pending) >= _WAITING_AT_MOST:
        log.warning("callback_skipped", waiting=len(_pending))
        return
    future = _executor().submit(_call, prediction_id)
    _pending.add(future)
    future.add_done_callback(_pending.discard)


def drain(timeout_seconds: float) -> None:
    """Let calls under way end, give up their retries, wait at most `timeout_seconds`: the worker is leaving."""
    _stopping.set()
    wait(list(_pending), timeout=timeout_seconds)


def _call(prediction_id: str) -> None:
    with structlog.contextvars.bound_contextvars(prediction_id=prediction_id):
        for delay_seconds in (0, *_RETRY_AFTER_SECONDS):
            if (delay_seconds and _stopping.wait(delay_seconds)) or _attempt(prediction_id):
                return


def _attempt(prediction_id: str) -> bool:
    """Call once; return whether that settles it."""
    started = time.monotonic()
    try:
        answer = _pool().request(
            "GET",
            f"{settings.POLYBOT_URL.rstrip('/')}/results?{urlencode({'predictionId': prediction_id})}",
            headers={SIGNATURE_HEADER: sign(prediction_id)},
        )
    except urllib3.exceptions.HTTPError as error:
        log.warning("callback_failed", error=str(error))
        return False
    call_ms = round((time.monotonic() - started) * 1000)
    if answer.status >= 500 or answer.status == 429:
        log.warning("callback_refused", status=answer.status, call_ms=call_ms)
        return False
    if answer.status != 200:
        log.error("callback_rejected", status=answer.status, call_ms=call_ms)
    return True


@cache
def _signer() -> signing.TimestampSigner:
    return signing.TimestampSigner(key=settings.RESULTS_KEY, salt="results")


@cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_CALLS_AT_ONCE, thread_name_prefix="callback")


@cache
def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(maxsize=_CALLS_AT_ONCE, timeout=_TIMEOUT, retries=False)
