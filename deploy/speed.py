"""How many photos a second a busy worker does: what the service has measured, else what was measured for its type."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from botsite import aws
from deploy.service import Service
from detection.record.schemas import Status
from metrics.machine_types import TYPES

# So many of the newest photos make a mean.
PHOTOS = 100
# Of a type without a number: the worker on two whole cores, `make bench`.
UNKNOWN = 32.0
# A measurement is believed up to this factor from what is known of the type; the photos may be of another one.
_FACTOR = 4


def of(service: Service, worker_type: str) -> float:
    """Return the photos per second, of two digits."""
    known = usual(worker_type)
    own = measured(service)
    return float(f"{min(max(own, known / _FACTOR), known * _FACTOR):.2g}") if own else known


def usual(worker_type: str) -> float:
    """Return what was measured for a type."""
    return TYPES[worker_type].photos_per_second if worker_type in TYPES else UNKNOWN


def measured(service: Service) -> float | None:
    """Return what the newest photos say, None before there are a hundred, or if the table can't be read.

    A photo takes its CPU time from all CPUs of its machine together.
    """
    storage = service.find("storage")
    table = storage.outputs.get("PredictionsTableName") if storage else None
    if not table:
        return None
    try:
        seconds = [one for item in _newest(table) if (one := _machine_seconds(item))]
    except (ClientError, BotoCoreError):
        return None
    return len(seconds) / sum(seconds) if len(seconds) >= PHOTOS else None


def _newest(table: str) -> Iterator[Mapping[str, Any]]:
    """Yield CPU time and CPUs of the newest photos that succeeded: the index has their keys only."""
    found = aws.dynamodb().query(
        TableName=table,
        IndexName="by_status",
        KeyConditionExpression="#status = :succeeded",
        ProjectionExpression="prediction_id",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":succeeded": Status.SUCCEEDED},
        ScanIndexForward=False,
        Limit=PHOTOS,
    )["Items"]
    if len(found) < PHOTOS:
        return
    asked: dict[str, Any] = {table: {"Keys": found, "ProjectionExpression": "cpu_ms, cpus"}}
    while asked:
        answer = aws.dynamodb().batch_get_item(RequestItems=asked)
        yield from answer["Responses"].get(table, [])
        asked = answer.get("UnprocessedKeys", {})


def _machine_seconds(item: Mapping[str, Any]) -> float | None:
    """Return for how long a photo would have kept its whole machine busy; None if its item doesn't tell."""
    numbers = [item.get(name) for name in ("cpu_ms", "cpus")]
    cpu_ms, cpus = (float(one) if isinstance(one, Decimal) else 0.0 for one in numbers)
    return cpu_ms / 1000 / cpus if cpu_ms > 0 and cpus > 0 else None
