"""Give a task the messages of S3, SNS, EventBridge, API Gateway and others that Celery did not send."""

import json
from collections.abc import Mapping
from typing import Any

from kombu.utils.json import dumps

# A message of Celery has these, whatever its task; no event of AWS has all of them.
_CELERYS = {"body", "headers", "properties"}


def as_task(message: Mapping[str, Any], decoded: bytes, task: str) -> dict[str, Any]:
    """Return a message of SQS with a body that runs `task`; one that Celery has sent stays as it is.

    The task's argument is the body: what its JSON says, or the text. Its id is the message's, so that the task can tell
    what it has already done when a message comes twice.
    """
    if _from_celery(decoded):
        return dict(message)
    identity = str(message["MessageId"])
    envelope = {
        "body": json.dumps([[read(message["Body"])], {}, {}]),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": task, "id": identity, "root_id": identity},
        "properties": {"correlation_id": identity, "delivery_info": {}, "delivery_tag": identity},
    }
    return {**message, "Body": dumps(envelope)}


def _from_celery(decoded: bytes) -> bool:
    found = read(decoded)
    return isinstance(found, dict) and found.keys() >= _CELERYS


def read(text: str | bytes) -> Any:
    """Return what JSON says, or the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
