"""Get a role's temporary credentials from STS, as EC2 does for its instances."""

import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from botsite import aws

# STS's default maximum for a role.
LIFETIME = timedelta(hours=1)


class RoleCredentials:
    """The credentials of one instance, as its metadata gives them."""

    def __init__(self, role_arn: str, instance_id: str) -> None:
        self._role_arn, self._instance_id = role_arn, instance_id
        self._current: dict[str, Any] = {}
        self._lock = threading.Lock()

    @property
    def role(self) -> str:
        """Return the name of the role."""
        return self._role_arn.rpartition("/")[2]

    def current(self) -> dict[str, Any]:
        """Return credentials with at least half of their time left; raise as boto3 does if STS gives none.

        An SDK renews its credentials in the last 20 minutes and must find new ones then.
        """
        with self._lock:
            left = _time_until(self._current["Expiration"]) if self._current else timedelta()
            # More than the lifetime is left if the clock was set back.
            if not LIFETIME / 2 < left <= LIFETIME:
                self._current = self._assume_role()
            return self._current

    def _assume_role(self) -> dict[str, Any]:
        given = aws.client("sts").assume_role(
            RoleArn=self._role_arn,
            RoleSessionName=self._instance_id,
            DurationSeconds=int(LIFETIME.total_seconds()),
        )["Credentials"]
        return {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "LastUpdated": _stamp(datetime.now(UTC)),
            "AccessKeyId": given["AccessKeyId"],
            "SecretAccessKey": given["SecretAccessKey"],
            "Token": given["SessionToken"],
            "Expiration": _stamp(given["Expiration"]),
        }


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time_until(stamp: str) -> timedelta:
    return datetime.fromisoformat(stamp) - datetime.now(UTC)


def on_instance(env: Mapping[str, str], metadata_endpoint: str) -> dict[str, str]:
    """Return the environment of a process on an instance, where boto3 finds the instance's role and no keys."""
    # Whoever runs this may have a profile, a login or keys, all of which boto3 would prefer.
    kept = {name: value for name, value in env.items() if not name.startswith("AWS_")}
    return {
        **kept,
        **{name: env[name] for name in ("AWS_REGION", "AWS_ENDPOINT_URL") if name in env},
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata_endpoint,
        # A laptop that starts ten processes at once may take more than a second to answer.
        "AWS_METADATA_SERVICE_TIMEOUT": "5",
        "AWS_METADATA_SERVICE_NUM_ATTEMPTS": "3",
    }
