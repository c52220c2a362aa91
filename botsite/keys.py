"""Keys that can be rotated while processes run: the newest, to sign with, and all that are still valid.

A process reads a key when it starts. It looks for a newer one now and then, and at once when a caller presents a key
it does not know: so a rotation needs no restart, and no caller is turned away (`manage.py rotate`).
"""

import math
import threading
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from botsite import aws, logs

log = structlog.get_logger()

# A leaked key is rejected at most this long plus secret_store.PREVIOUS_GOOD after its rotation. Reading costs $0.05 per
# 10,000 calls.
_FRESH_SECONDS = 600.0
# Wrong keys of strangers make us look no more often than this: at worst 60 cents a day for the four processes.
_AGAIN_SECONDS = 3.0


class Key:
    """A setting that is a key. If no secret holds it, the environment's value never changes."""

    def __init__(self, setting: str) -> None:
        self._setting = setting
        self._lock = threading.Lock()
        self._good: tuple[str, ...] = ()
        self._read_at = time.monotonic()
        self._looked_at = self._changed_at = -math.inf

    def newest(self) -> str:
        """Return the key to sign with."""
        self._keep_fresh()
        return self._known()[0]

    def fits_now(self, check: Callable[[str], bool]) -> bool:
        """Return whether `check` accepts a key that is known to be valid. Never waits."""
        self._keep_fresh()
        return any(map(check, self._known()))

    def fits(self, check: Callable[[str], bool]) -> bool:
        """Return whether `check` accepts a valid key; look for a newer one if it accepts none.

        Only one caller at a time looks, and waits. The others are rejected meanwhile, and try again if theirs is new.
        """
        if self.fits_now(check):
            return True
        self._renew(wait=False)
        return any(map(check, self._known()))

    def may_fit_later(self, key: str) -> bool:
        """Return whether to try again after this key was rejected: a newer one exists, or it is new itself."""
        if self.newest() == key:
            # Our own site rejected it, not a stranger: no reason to wait.
            self._renew(again_seconds=0.0)
        # A site that looked just before the rotation does not look again for a while.
        return self.newest() != key or time.monotonic() - self._changed_at < 2 * _AGAIN_SECONDS

    def _keep_fresh(self) -> None:
        """Let another thread look for a newer key if the last look was long ago."""
        now = time.monotonic()
        due = now - self._read_at > _FRESH_SECONDS and now - self._looked_at > _AGAIN_SECONDS
        if due and not self._lock.locked() and settings.SECRET_OF.get(self._setting):
            threading.Thread(target=self._renew, kwargs={"wait": False}, daemon=True).start()

    def _renew(self, *, again_seconds: float = _AGAIN_SECONDS, wait: bool = True) -> None:
        """Look for a newer key unless another caller just did; `wait` for one that is looking."""
        secret_id = settings.SECRET_OF.get(self._setting)
        if not secret_id or not self._lock.acquire(blocking=wait):
            return
        try:
            now = time.monotonic()
            if now - self._looked_at < again_seconds:
                return
            self._looked_at = now
            before, self._good = self._known(), self._read(secret_id)
            if self._known()[0] != before[0]:
                self._changed_at = now
        finally:
            self._lock.release()

    def _known(self) -> tuple[str, ...]:
        return self._good or (getattr(settings, self._setting),)

    def _read(self, secret_id: str) -> tuple[str, ...]:
        """Return the valid keys, newest first; the known ones if they cannot be read."""
        try:
            found = aws.secret_versions(secret_id)
        except ImproperlyConfigured as error:
            log.warning("key_unreadable", setting=self._setting, error=str(error))
            return self._good
        self._read_at = time.monotonic()
        values = (found.current.get(self._setting, ""), found.previous.get(self._setting, ""))
        good = tuple(value for value in values if value)
        for value in good:
            logs.hide(value)
        return good


RESULTS = Key("RESULTS_KEY")
WEBHOOK = Key("TELEGRAM_WEBHOOK_SECRET")
