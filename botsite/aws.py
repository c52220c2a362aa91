"""Create every AWS client in one place: region, endpoint, timeouts and retries are set here.

This is also the only module that knows whether AWS is an emulator, and how long AWS takes to catch up.
"""

import threading
import time
from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any, Literal, ParamSpec, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from django.conf import settings

from botsite import secret_store

Value = TypeVar("Value")
Asked = ParamSpec("Asked")

# botocore waits 60 s for a silent peer by default. What a photo needs is small, so silence is a failure; and the
# callers above (Telegram, SQS) try again, so a few attempts are enough.
_CONFIG = Config(
    connect_timeout=3,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=64,
    tcp_keepalive=True,
    request_checksum_calculation="when_required",
)
# These make and describe what the service stands on: no photo waits for them, and they take their time over large
# requests, which are better waited for than sent again.
_CONTROL = frozenset({"acm", "cloudformation", "ec2", "elbv2", "iam", "route53"})
_CONTROL_SECONDS = 60
_ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1})
# Creating a client from boto3's default session is not thread-safe; using one is.
_lock = threading.Lock()


def emulated() -> bool:
    """Return whether this is an emulator: it launches no machines, publishes no metrics and has no names in DNS."""
    return bool(settings.AWS_ENDPOINT_URL)


def real_only(otherwise: Any) -> Callable[[Callable[Asked, Value]], Callable[Asked, Value]]:
    """Have a function that only AWS itself can answer return `otherwise` where AWS is emulated."""

    def wrapped(function: Callable[Asked, Value]) -> Callable[Asked, Value]:
        @wraps(function)
        def asked(*args: Asked.args, **kwargs: Asked.kwargs) -> Value:
            return otherwise if emulated() else function(*args, **kwargs)

        return asked

    return wrapped


def place() -> str:
    """Return where AWS is, for people: "AWS in us-east-1", or the emulator's address."""
    return settings.AWS_ENDPOINT_URL or f"AWS in {settings.AWS_REGION}"


def pause(seconds: float) -> None:
    """Wait before asking AWS again; an emulator has finished before it answers."""
    time.sleep(0.02 if emulated() else seconds)


def lag(seconds: float) -> float:
    """Return how long AWS may keep showing the state before a change; an emulator shows a change at once."""
    return 0.0 if emulated() else seconds


def secrets(secret_ids: Sequence[str]) -> dict[str, str]:
    """Return the settings that these secrets hold; raise ImproperlyConfigured if one can't be read."""
    return secret_store.read(secret_ids, settings.AWS_REGION, settings.AWS_ENDPOINT_URL)


def secret_versions(secret_id: str) -> secret_store.Versions:
    """Return what a secret holds and held; raise as `secrets` does."""
    return secret_store.versions(secret_id, settings.AWS_REGION, settings.AWS_ENDPOINT_URL)


def client(service: str) -> Any:
    """Return the process's client of `service` ("sqs", "cloudformation", ...), safe to share between threads."""
    with _lock:
        return _client(service)


def once(service: str) -> Any:
    """Return a client that sends each request once: for what AWS would make twice (deploy/patience.py)."""
    with _lock:
        return _client(service, once=True)


def s3() -> Any:
    """Return the process's S3 resource, which django-storages needs."""
    with _lock:
        return _resource("s3")


def dynamodb() -> Any:
    """Return a DynamoDB client that takes and gives plain Python values (str, int, Decimal, list, dict).

    It is the client inside the boto3 resource: the resource is not thread-safe, its client is.
    """
    with _lock:
        return _resource("dynamodb").meta.client


def conditional(write: Callable[..., Any], **request: Any) -> dict[str, Any] | None:
    """Send a write of DynamoDB's to the service's table, unless the request names another; return its reply.

    None if its condition does not hold.
    """
    try:
        return dict(write(**{"TableName": settings.PREDICTIONS_TABLE} | request))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
    return None


@cache
def _client(service: str, once: bool = False) -> Any:
    patient = once or service in _CONTROL
    config = _CONFIG.merge(Config(read_timeout=_CONTROL_SECONDS)) if patient else _CONFIG
    return boto3.client(  # type: ignore[call-overload]
        service,
        region_name=settings.AWS_REGION or None,
        endpoint_url=settings.AWS_ENDPOINT_URL or None,
        config=config.merge(_ONCE) if once else config,
    )


@cache
def _resource(service: str) -> Any:
    # An emulator's bucket has no host name of its own. On AWS, "auto" would sign links for a host without a region,
    # which redirects during the first hours of a bucket. SigV4 also makes links expire.
    style: Literal["path", "virtual"] = "path" if emulated() else "virtual"
    config = (
        _CONFIG.merge(Config(signature_version="s3v4", s3={"addressing_style": style})) if service == "s3" else _CONFIG
    )
    return boto3.resource(  # type: ignore[call-overload]
        service, region_name=settings.AWS_REGION or None, endpoint_url=settings.AWS_ENDPOINT_URL or None, config=config
    )
