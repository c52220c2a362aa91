"""Password attempts are limited across all sites, and nobody is locked out for long or by others."""

import time
from itertools import count
from types import SimpleNamespace

import pytest
from django.conf import settings

from botsite import aws, rate_limit
from botsite.staff import attempts
from deploy.local.stack import LocalStack
from tests.support.operators import Operator

LOGIN = "/admin/login/?next=/admin/"
REFUSED = "Too many attempts from your address. Try again in "
_addresses = (f"203.0.113.{number}" for number in count(1))


@pytest.fixture
def address(stack: LocalStack) -> str:
    """Return an unused address."""
    return next(_addresses)


def tried(address: str, times: int) -> None:
    """Count attempts, without hashing passwords."""
    for _ in range(times):
        rate_limit.reserve(attempts.limit(address))


def both(stack: LocalStack, address: str) -> list[Operator]:
    return [Operator(site, address=address) for site in stack.sites.values()]


def test_address_has_six_attempts(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(rate_limit, "time", SimpleNamespace(time=lambda: now))
    tried(address, 6)
    with pytest.raises(rate_limit.TooBusy) as refusal:
        tried(address, 1)
    assert round(refusal.value.retry_after_seconds) == 10


def test_both_sites_refuse_right_password_after_six_wrong(stack: LocalStack, address: str) -> None:
    first, second = both(stack, address)
    for site in (first, second):
        assert "Please enter the correct username and password" in site.post(LOGIN, username="admin", password="x").text
    with pytest.raises(rate_limit.TooBusy):
        tried(address, 20)
    for site in (first, second):
        answer = site.post(LOGIN, username="admin", password=stack.env["ADMIN_PASSWORD"])
        assert (answer.status_code, REFUSED in answer.text) == (200, True)


def test_right_password_works_later_and_resets_count(stack: LocalStack, address: str) -> None:
    tried(address, 6)
    _let_pass(address, 10)
    both(stack, address)[0].log_in("admin", stack.env["ADMIN_PASSWORD"])
    assert _next_at(address) is None


def test_other_addresses_are_not_affected(stack: LocalStack, address: str) -> None:
    tried(address, 6)
    Operator(next(iter(stack.sites.values())), address=next(_addresses)).log_in("admin", stack.env["ADMIN_PASSWORD"])


def test_form_with_empty_field_does_not_reset_count(stack: LocalStack, address: str) -> None:
    tried(address, 3)
    assert both(stack, address)[0].post(LOGIN, username="admin", password="").status_code == 200
    assert _next_at(address) is not None


def _next_at(address: str) -> float | None:
    """Return when the count of an address is back to zero (epoch seconds), or None if it is."""
    key = {"prediction_id": attempts.limit(address).key}
    item = aws.dynamodb().get_item(TableName=settings.PREDICTIONS_TABLE, Key=key).get("Item")
    return float(item["next_at"]) if item else None


def _let_pass(address: str, seconds: int) -> None:
    aws.dynamodb().update_item(
        TableName=settings.PREDICTIONS_TABLE,
        Key={"prediction_id": attempts.limit(address).key},
        UpdateExpression="SET next_at = next_at - :seconds",
        ExpressionAttributeValues={":seconds": seconds},
    )
