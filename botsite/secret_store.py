"""Read settings that are secret from AWS Secrets Manager, by the role of the machine."""

import json
from collections.abc import Sequence

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import ImproperlyConfigured

# A process that cannot read them ends, and is started again by whoever started it.
_CONFIG = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})


def read(secret_ids: Sequence[str], region: str, endpoint_url: str) -> dict[str, str]:
    """Return the settings that these secrets hold, each a JSON object of name and value.

    Raise ImproperlyConfigured, with no value in its text, if one cannot be read.
    """
    if not secret_ids:
        return {}
    client = boto3.client("secretsmanager", region_name=region, endpoint_url=endpoint_url or None, config=_CONFIG)
    found: dict[str, str] = {}
    for secret_id in secret_ids:
        try:
            text = client.get_secret_value(SecretId=secret_id)["SecretString"]
        except (ClientError, BotoCoreError) as error:
            raise ImproperlyConfigured(
                f"SERVICE_SECRETS names {secret_id}, which cannot be read from Secrets Manager in {region}: {error}. "
                "The role needs secretsmanager:GetSecretValue on it; `python manage.py provision` makes both."
            ) from error
        found |= _parse(secret_id, text)
    return found


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
