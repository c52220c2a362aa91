"""The boundaries of a photo's path, and what can happen at each: rules for microburst and for the fake Telegram."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.chaos.patience import HANG_SECONDS

Rule = dict[str, Any]


def _update(begins: str) -> Rule:
    """Match the write of an item whose update expression begins like this: each step has its own."""
    return {
        "service": "dynamodb",
        "operation": "UpdateItem",
        "body": f"starts_with(UpdateExpression, '{begins}')",
    }


def _s3(operation: str, role: str) -> Rule:
    return {"service": "s3", "operation": operation, "headers": {"User-Agent": f"by/{role}"}}


def _sqs(operation: str, queue: str = "jobs") -> Rule:
    return {"service": "sqs", "operation": operation, "body": f"ends_with(QueueUrl, '-{queue}')"}


# In the order in which a photo meets them.
AWS: Mapping[str, Rule] = {
    "dynamodb: find (site)": {
        "service": "dynamodb",
        "operation": "GetItem",
        "body": "!starts_with(Key.prediction_id.S, 'pace')",
    },
    "s3: put photo (site)": _s3("PutObject", "gunicorn"),
    "dynamodb: create (site)": {"service": "dynamodb", "operation": "PutItem"},
    "sqs: send (site)": _sqs("SendMessage"),
    "dynamodb: mark enqueued (site)": _update("SET enqueued_at"),
    "dynamodb: note status (site)": _update("SET status_message_id"),
    "sqs: receive (worker)": _sqs("ReceiveMessage"),
    "dynamodb: claim (worker)": _update("SET #status = :processing"),
    "s3: get photo (worker)": _s3("GetObject", "celery"),
    "s3: put result (worker)": _s3("PutObject", "celery"),
    "dynamodb: succeed (worker)": _update("SET #status = :succeeded"),
    "callback (worker)": {"headers": {"X-Results-Signature": ""}},
    "sqs: delete (worker)": _sqs("DeleteMessageBatch"),
    "dynamodb: claim delivery (site)": _update("SET delivery = :delivering"),
    "s3: get result (site)": _s3("GetObject", "gunicorn"),
    "dynamodb: pace (site)": _update("SET next_at"),
    "dynamodb: finish delivery (site)": _update("SET delivery = :delivery,"),
    "dynamodb: fail (site)": _update("SET #status = :failed"),
}
# Only a file that is no photo comes by here.
OF_JUNK = {"dynamodb: fail (site)"}
VISIBILITY = _sqs("ChangeMessageVisibilityBatch")
RELEASE = _update("SET delivery = :pending")
QUERY: Rule = {"service": "dynamodb", "operation": "Query"}
# Not what a site reads at its start: without that it ends, and is started again.
SECRET: Rule = {
    "service": "secretsmanager",
    "operation": "GetSecretValue",
    "body": "ends_with(SecretId, 'telegram-token')",
}
# Calls that an undisturbed photo does not need.
ASIDE: Mapping[str, Rule] = {
    "sqs: visibility": VISIBILITY,
    "sqs: send (beat)": _sqs("SendMessage", "metrics"),
    "sqs: receive (metrics)": _sqs("ReceiveMessage", "metrics"),
    "dynamodb: release delivery": RELEASE,
    "dynamodb: query": QUERY,
    "secretsmanager: token": SECRET,
}
CALLBACK = AWS["callback (worker)"]

# Before the call has an effect, and after it, when only the reply is lost.
BEFORE: Mapping[str, Rule] = {
    "500": {"error": {"code": "InternalFailure", "status": 500}},
    "throttled": {"error": {"code": "ThrottlingException", "status": 400}},
    "reset": {"reset": True},
    "hang": {"timeout_ms": HANG_SECONDS * 1000},
}
AFTER: Mapping[str, Rule] = {
    "reply lost": {"response": {"abort_frac": 0.0}},
    # More is announced than comes: the client waits for the rest. (A reply without a body cannot be cut.)
    "reply hangs": {"response": {"set_headers": {"Content-Length": "10000000"}}},
}
FAULTS: Mapping[str, Rule] = {**BEFORE, **AFTER}
# The callback is no AWS call: a load balancer refuses with 429, 502, 503 or 504, never with 400.
_THROTTLED_CALLBACK: Rule = {"error": {"code": "TooManyRequests", "status": 429}}

# Method -> effects of the fake Telegram; the numbers are seconds.
SENDS: Mapping[str, Rule] = {
    "500": {"effect": "server_error"},
    "throttled": {"effect": "too_many_requests", "retry_after": 1},
    "reset": {"effect": "drop"},
    # Longer than the worker waits for the site, shorter than the site waits for Telegram.
    "slow": {"effect": "delay", "seconds": 3},
    "reply lost": {"effect": "apply_then_drop"},
    "reply hangs": {"effect": "apply_then_hang", "seconds": HANG_SECONDS},
}
FILES: Mapping[str, Rule] = {
    "500": {"effect": "server_error"},
    "reset": {"effect": "drop"},
    "hang": {"effect": "delay", "seconds": HANG_SECONDS},
    "cut": {"effect": "truncated"},
}
WEBHOOK: Mapping[str, Rule] = {
    "lost": {"effect": "drop"},
    "late": {"effect": "delay", "seconds": 2},
    "twice": {"effect": "duplicate"},
    "reply lost": {"effect": "apply_then_drop"},
    "reply hangs": {"effect": "apply_then_hang", "seconds": 2},
}
TELEGRAM: Mapping[str, Mapping[str, Rule]] = {
    "webhook": WEBHOOK,
    "getFile": {name: rule for name, rule in SENDS.items() if "reply" not in name},
    "file": FILES,
    # Answers of their own, and those that take the place of a status.
    "sendPhoto": SENDS,
    "sendMessage": SENDS,
    "editMessageMedia": SENDS,
    "editMessageText": SENDS,
    "deleteMessage": SENDS,
}
# What only tells how the wait goes: no answer depends on it.
STATUS: Mapping[str, Mapping[str, Rule]] = {
    "sendMessage": {**SENDS, "403": {"effect": "forbidden"}},
    "editMessageText": {**SENDS, "403": {"effect": "forbidden"}},
}


def aws_rule(boundary: str, fault: str) -> Rule:
    """Return a rule for microburst."""
    match = {**AWS, **ASIDE}[boundary]
    return {**match, **(_THROTTLED_CALLBACK if fault == "throttled" and match is CALLBACK else FAULTS[fault])}


def no_callback() -> Rule:
    """Return a rule that leaves the site unaware of results."""
    return CALLBACK | FAULTS["500"]
