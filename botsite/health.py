"""Answer `/healthz` and `/readyz` before anything checks the Host header or plain HTTP: load balancers use both."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog
from asgiref.sync import markcoroutinefunction, sync_to_async
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from botsite import aws

log = structlog.get_logger()

# Many health checks cost as much as one.
_CACHED_SECONDS = 5.0
_TIMEOUT_SECONDS = 4.0


class HealthMiddleware:
    """Liveness: the process answers. Readiness: this process can reach the queue, table and bucket."""

    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], Awaitable[HttpResponse]]) -> None:
        self._get_response = get_response
        self._checked_at = float("-inf")
        self._failures: dict[str, str] = {}
        self._lock = asyncio.Lock()
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer health checks, pass on everything else."""
        if request.path == "/healthz":
            return HttpResponse("ok", content_type="text/plain")
        if request.path == "/readyz":
            failures = await self._ready()
            return JsonResponse(
                {"ready": not failures, "unreachable": sorted(failures)}, status=503 if failures else 200
            )
        return await self._get_response(request)

    async def _ready(self) -> dict[str, str]:
        async with self._lock:
            if time.monotonic() - self._checked_at > _CACHED_SECONDS:
                names = list(_CHECKS)
                found = await asyncio.gather(*(_check(name) for name in names))
                failures = {name: error for name, error in zip(names, found, strict=True) if error}
                if failures != self._failures:
                    log.warning("readiness_changed", unreachable=failures)
                self._failures, self._checked_at = failures, time.monotonic()
            return self._failures


async def _check(name: str) -> str | None:
    """Return why `name` cannot be reached, or None if it can."""
    try:
        await asyncio.wait_for(sync_to_async(_CHECKS[name], thread_sensitive=False)(), _TIMEOUT_SECONDS)
    except (ClientError, BotoCoreError, TimeoutError) as error:
        return str(error) or "no answer"
    return None


def _queue() -> None:
    aws.client("sqs").get_queue_attributes(QueueUrl=settings.JOBS_QUEUE_URL, AttributeNames=["QueueArn"])


def _table() -> None:
    aws.dynamodb().get_item(TableName=settings.PREDICTIONS_TABLE, Key={"prediction_id": "readiness"})


def _bucket() -> None:
    aws.s3().meta.client.head_bucket(Bucket=settings.IMAGES_BUCKET)


_CHECKS = {"queue": _queue, "table": _table, "bucket": _bucket}
