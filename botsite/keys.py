"""Keep the keys that are rotated while processes run: the newest to sign with, and each that is still good.

A process reads a key when it starts. It looks for a newer one now and then, and at once when somebody comes with one
it does not know: so a rotation needs no restart, and nobody is turned away in between (`manage.py rotate`).
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

# A key that leaked is refused at the latest so long, and secret_store.PREVIOUS_GOOD, after it was rotated. Reading
# costs $0.05 per 10,000 calls.
_FRESH_SECONDS = 600.0
# A stranger's wrong keys make us look no more often than this: at worst 60 cents a day for the four processes.
_AGAIN_SECONDS = 3.0


class Key:
    """A setting that is a key. Without a secret behind it, it is what the environment says and stays so."""

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
        """Return whether `check` is true of a key that is known to be good. Never wait."""
        self._keep_fresh()
        return any(map(check, self._known()))

    def fits(self, check: Callable[[str], bool]) -> bool:
        """Return whether `check` is true of a good key; look for a newer one if it is of none.

        Only one caller at a time looks, and waits. The others are refused meanwhile: who has the new key comes again.
        """
        if self.fits_now(check):
            return True
        self._renew(wait=False)
        return any(map(check, self._known()))

    def may_fit_later(self, key: str) -> bool:
        """Return whether to come again after this key was refused: there is a newer one, or it is that new itself."""
        if self.newest() == key:
            # Not a stranger but our own site says so: there is no reason to wait.
            self._renew(again_seconds=0.0)
        # A site that has looked just before the key was rotated does not look again for a while.
        return self.newest() != key or time.monotonic() - self._changed_at < 2 * _AGAIN_SECONDS

    def _keep_fresh(self) -> None:
        """Have another thread look for a newer key if that was long ago."""
        now = time.monotonic()
        due = now - self._read_at > _FRESH_SECONDS and now - self._looked_at > _AGAIN_SECONDS
        if due and not self._lock.locked() and settings.SECRET_OF.get(self._setting):
            threading.Thread(target=self._renew, kwargs={"wait": False}, daemon=True).start()

    def _renew(self, *, again_seconds: float = _AGAIN_SECONDS, wait: bool = True) -> None:
        """Look for a newer key unless somebody did just now; `wait` for the caller that is looking."""
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
        """Return the good keys, the newest first; those known before if they cannot be read."""
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
