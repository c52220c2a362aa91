"""Limit how fast passwords can be tried at the admin's login, across all web instances.

Instances share only DynamoDB, so the limit is kept there, as the bot's limits are: per address six attempts at once,
then one every ten seconds; a successful login resets it. By address and not by name, so that knowing the operator's
name is not enough to lock the operator out. A refused attempt costs three DynamoDB calls, and no password hashing.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from botsite import rate_limit

log = structlog.get_logger()

_INTERVAL_SECONDS = 10.0
_BURST = 6


class LoginForm(AdminAuthenticationForm):
    """The admin's login, with a limit on attempts."""

    def clean(self) -> dict[str, Any]:
        """Return the cleaned form. Raise ValidationError for wrong credentials or too many attempts."""
        assert self.request is not None, "the login page has a request"
        address = address_of(self.request)
        _count(address)
        try:
            cleaned = super().clean()
        except ValidationError:
            # Without the name: people type passwords into that field.
            log.warning("login_failed", address=address)
            raise
        # A form with an empty field is neither an error here nor a login.
        if self.get_user() is not None:
            with _even_without_dynamodb(address):
                rate_limit.forget(limit(address))
        return cleaned


def limit(address: str) -> rate_limit.Limit:
    """Return the limit of an address."""
    return rate_limit.Limit(f"login#{address}", _INTERVAL_SECONDS, _BURST, longest_wait_seconds=0.0)


def address_of(request: HttpRequest) -> str:
    """Return where a request comes from: the load balancer adds the last address, anybody can forge the others."""
    forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return (forwarded or request.META.get("REMOTE_ADDR") or "unknown")[:64]


def _count(address: str) -> None:
    try:
        with _even_without_dynamodb(address):
            rate_limit.reserve(limit(address))
    except rate_limit.TooBusy as busy:
        log.warning("login_refused", address=address)
        seconds = math.ceil(busy.retry_after_seconds)
        raise ValidationError(f"Too many attempts from your address. Try again in {seconds} s.") from busy


@contextmanager
def _even_without_dynamodb(address: str) -> Iterator[None]:
    """Carry on if DynamoDB is down: that must not lock out the operator who has to fix it."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        log.warning("login_uncounted", address=address, error=str(error))
