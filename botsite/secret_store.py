"""Read settings that are secret from AWS Secrets Manager, by the role of the machine."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import ImproperlyConfigured

# A process that cannot read them ends, and is started again by whoever started it.
_CONFIG = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
# For so long after a rotation what was before is still good: calls under way, and processes that have not heard of it.
PREVIOUS_GOOD = timedelta(hours=1)


@dataclass(frozen=True)
class Versions:
    """The settings that a secret holds, and those it held before, if it was changed within PREVIOUS_GOOD."""

    current: dict[str, str] = field(repr=False)
    previous: dict[str, str] = field(repr=False)


def read(secret_ids: Sequence[str], region: str, endpoint_url: str) -> dict[str, str]:
    """Return the settings that these secrets hold, each a JSON object of name and value.

    Raise ImproperlyConfigured, with no value in its text, if one cannot be read.
    """
    found: dict[str, str] = {}
    for secret_id in secret_ids:
        found |= _parse(secret_id, _get(secret_id, region, endpoint_url)["SecretString"])
    return found


def versions(secret_id: str, region: str, endpoint_url: str) -> Versions:
    """Return what one secret holds and held; raise as `read` does."""
    answer = _get(secret_id, region, endpoint_url)
    current, previous = _parse(secret_id, answer["SecretString"]), {}
    if datetime.now(UTC) - answer["CreatedDate"] < PREVIOUS_GOOD:
        before = _get(secret_id, region, endpoint_url, "AWSPREVIOUS")
        previous = _parse(secret_id, before["SecretString"]) if before else {}
    return Versions(current, previous)


def _get(secret_id: str, region: str, endpoint_url: str, stage: str = "AWSCURRENT") -> dict[str, Any]:
    """Return a version of a secret as AWS gives it; empty if there is no previous one."""
    try:
        return _client(region, endpoint_url).get_secret_value(SecretId=secret_id, VersionStage=stage)
    except (ClientError, BotoCoreError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        if code == "ResourceNotFoundException" and stage != "AWSCURRENT":
            return {}
        raise ImproperlyConfigured(
            f"SERVICE_SECRETS names {secret_id}, which cannot be read from Secrets Manager in {region}: {error}. "
            "The role needs secretsmanager:GetSecretValue on it; `python manage.py provision` makes both."
        ) from error


@cache
def _client(region: str, endpoint_url: str) -> Any:
    return boto3.client("secretsmanager", region_name=region, endpoint_url=endpoint_url or None, config=_CONFIG)


# gunicorn forks its workers from the process that has read the settings: two on one connection would mix its answers.
os.register_at_fork(after_in_child=_client.cache_clear)


def _parse(secret_id: str, text: str) -> dict[str, str]:
    # Raised from nothing: the error of the parser would show the text.
    try:
        values = json.loads(text)
    except json.JSONDecodeError:
        values = None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise ImproperlyConfigured(
            f"SERVICE_SECRETS names {secret_id}, which has to hold a JSON object of settings and their values as texts."
        )
    return values
