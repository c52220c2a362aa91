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

from . import logs, secret_store

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
        return self._all()[0]

    def fits(self, check: Callable[[str], bool]) -> bool:
        """Return whether `check` is true of a key that is good; look for a newer one if it is of none."""
        if any(map(check, self._all())):
            return True
        self._renew()
        return any(map(check, self._all()))

    def may_fit_later(self, key: str) -> bool:
        """Return whether to come again after this key was refused: there is a newer one, or it is that new itself."""
        if self.newest() == key:
            # Not a stranger but our own site says so: there is no reason to wait.
            self._renew(wait_seconds=0.0)
        # A site that has looked just before the key was rotated does not look again for a while.
        return self.newest() != key or time.monotonic() - self._changed_at < 2 * _AGAIN_SECONDS

    def _renew(self, wait_seconds: float = _AGAIN_SECONDS) -> None:
        # Who waits for the lock while another looks finds what that one has found.
        secret_id = settings.SECRET_OF.get(self._setting)
        with self._lock:
            now = time.monotonic()
            if not secret_id or now - self._looked_at < wait_seconds:
                return
            self._looked_at = now
            before, self._good = self._known(), self._read(secret_id)
            if self._known()[0] != before[0]:
                self._changed_at = now

    def _all(self) -> tuple[str, ...]:
        if time.monotonic() - self._read_at > _FRESH_SECONDS:
            self._renew()
        return self._known()

    def _known(self) -> tuple[str, ...]:
        return self._good or (getattr(settings, self._setting),)

    def _read(self, secret_id: str) -> tuple[str, ...]:
        """Return the good keys, the newest first; those known before if they cannot be read."""
        try:
            found = secret_store.versions(secret_id, settings.AWS_REGION, settings.AWS_ENDPOINT_URL)
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
