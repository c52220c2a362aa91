"""Read secret settings from AWS Secrets Manager, with the role of the machine."""

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

# A process that cannot read them ends, and its supervisor restarts it.
_CONFIG = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
# The previous value stays valid this long after a rotation: for calls under way, and for processes that lag behind.
PREVIOUS_GOOD = timedelta(hours=1)


@dataclass(frozen=True)
class Versions:
    """The settings in a secret, and its previous ones if it changed within PREVIOUS_GOOD."""

    current: dict[str, str] = field(repr=False)
    previous: dict[str, str] = field(repr=False)


def read(secret_ids: Sequence[str], region: str, endpoint_url: str) -> dict[str, str]:
    """Return the settings in these secrets, each a JSON object of names and values.

    Raise ImproperlyConfigured, without any value in its text, if one cannot be read.
    """
    found: dict[str, str] = {}
    for secret_id in secret_ids:
        found |= _parse(secret_id, _get(secret_id, region, endpoint_url)["SecretString"])
    return found


def versions(secret_id: str, region: str, endpoint_url: str) -> Versions:
    """Return the current and previous settings in one secret; raise as `read` does."""
    answer = _get(secret_id, region, endpoint_url)
    current, previous = _parse(secret_id, answer["SecretString"]), {}
    if datetime.now(UTC) - answer["CreatedDate"] < PREVIOUS_GOOD:
        before = _get(secret_id, region, endpoint_url, "AWSPREVIOUS")
        previous = _parse(secret_id, before["SecretString"]) if before else {}
    return Versions(current, previous)


def _get(secret_id: str, region: str, endpoint_url: str, stage: str = "AWSCURRENT") -> dict[str, Any]:
    """Return a version of a secret as AWS returns it; empty if there is no previous one."""
    try:
        return _client(region, endpoint_url).get_secret_value(SecretId=secret_id, VersionStage=stage)
    except (ClientError, BotoCoreError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        if code == "ResourceNotFoundException" and stage != "AWSCURRENT":
            return {}
        raise ImproperlyConfigured(
            f"SERVICE_SECRETS names {secret_id}, which can't be read from Secrets Manager in {region}: {error}. "
            "The role needs secretsmanager:GetSecretValue on it; `python manage.py provision` creates both."
        ) from error


@cache
def _client(region: str, endpoint_url: str) -> Any:
    return boto3.client("secretsmanager", region_name=region or None, endpoint_url=endpoint_url or None, config=_CONFIG)


# gunicorn forks its workers from the process that read the settings: sharing one connection would mix up answers.
os.register_at_fork(after_in_child=_client.cache_clear)


def _parse(secret_id: str, text: str) -> dict[str, str]:
    # The parser's error is not chained: it would show the text.
    try:
        values = json.loads(text)
    except json.JSONDecodeError:
        values = None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise ImproperlyConfigured(
            f"SERVICE_SECRETS names {secret_id}, which must be a JSON object of settings with string values."
        )
    return values
