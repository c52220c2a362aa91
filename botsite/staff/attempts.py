"""Bound how fast passwords are tried at the admin's login, on all web instances together.

Instances share DynamoDB and nothing else, so the bound is kept there, as the bot's limits are: for each address six
attempts at once, then one each ten seconds; a login that succeeds starts anew. By address and not by name, so that
nobody who knows the operator's name keeps the operator out. What is refused costs three calls of DynamoDB, and not the
CPU of hashing a password.
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

from botsite.bot import rate_limit

log = structlog.get_logger()

_INTERVAL_SECONDS = 10.0
_BURST = 6


class LoginForm(AdminAuthenticationForm):
    """The admin's login, for those who do not try too often."""

    def clean(self) -> dict[str, Any]:
        """Return who logs in with what. Raise ValidationError if that is wrong, or may not be tried now."""
        assert self.request is not None, "the login page has a request"
        address = address_of(self.request)
        _count(address)
        try:
            cleaned = super().clean()
        except ValidationError:
            # Without the name: people type passwords into its field.
            log.warning("login_failed", address=address)
            raise
        # A form with an empty field is no error here, and no login.
        if self.get_user() is not None:
            with _even_without_a_table(address):
                rate_limit.forget(limit(address))
        return cleaned


def limit(address: str) -> rate_limit.Limit:
    """Return how often this address may try."""
    return rate_limit.Limit(f"login#{address}", _INTERVAL_SECONDS, _BURST, longest_wait_seconds=0.0)


def address_of(request: HttpRequest) -> str:
    """Return where a request comes from: the last address is the load balancer's word, those before it anybody's."""
    forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return (forwarded or request.META.get("REMOTE_ADDR") or "unknown")[:64]


def _count(address: str) -> None:
    try:
        with _even_without_a_table(address):
            rate_limit.reserve(limit(address))
    except rate_limit.TooBusy as busy:
        log.warning("login_refused", address=address)
        seconds = math.ceil(busy.retry_after_seconds)
        raise ValidationError(f"Too many attempts from your address: try again in {seconds} s.") from busy


@contextmanager
def _even_without_a_table(address: str) -> Iterator[None]:
    """Go on if DynamoDB is away: whoever has to look after such a service is not kept out by it."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        log.warning("login_uncounted", address=address, error=str(error))
