"""Carry bodies that are too long for SQS through S3. A message names its object, which is deleted with it."""

import logging
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

# The header that names the object: its id and not its key, so that no message can name another object.
HEADER = "sqs_large"
PREFIX = "celery-on-sqs/"
LONGEST_BYTES = 64 * 1024 * 1024  # A worker may hold as many of them as it has slots.

log = logging.getLogger(__name__)


class Store:
    """The bucket with the bodies."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self._bucket = client, bucket

    def put(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Store the body of a message of kombu; return the message without it."""
        body = str(message["body"]).encode()
        if len(body) > LONGEST_BYTES:
            raise ValueError(f"its arguments take {len(body)} bytes, more than {LONGEST_BYTES}: send where they are")
        identity = str(uuid.uuid4())
        self._client.put_object(Bucket=self._bucket, Key=_key(identity), Body=body)
        return {**message, "body": "", "headers": {**(message.get("headers") or {}), HEADER: identity}}

    def get(self, identity: str) -> str:
        """Return a body."""
        found = self._client.get_object(Bucket=self._bucket, Key=_key(identity))
        if found["ContentLength"] > LONGEST_BYTES:
            found["Body"].close()
            raise ValueError(f"{_key(identity)} has {found['ContentLength']} bytes, more than {LONGEST_BYTES}")
        body: bytes = found["Body"].read()
        return body.decode()

    def delete(self, identities: Sequence[str]) -> None:
        """Delete bodies, at most 1,000. What fails is logged, and left to the bucket's lifecycle rule."""
        try:
            keys = [{"Key": _key(one)} for one in identities]
            answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True})
            problem = next((one["Code"] for one in answer.get("Errors", ())), None)
        except (ClientError, BotoCoreError, ValueError) as error:
            problem = str(error)
        if problem:
            log.warning("body_left", extra={"bucket": self._bucket, "messages": len(identities), "error": problem})


def identity_of(payload: object) -> str | None:
    """Return which object has the body of a message of kombu, which may be anything."""
    headers = payload.get("headers") if isinstance(payload, dict) else None
    found = headers.get(HEADER) if isinstance(headers, dict) else None
    return None if found is None else str(found)


def _key(identity: str) -> str:
    return f"{PREFIX}{uuid.UUID(identity)}"
