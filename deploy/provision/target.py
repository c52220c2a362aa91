"""Work out a worker's speed and the target of BacklogPerInstance: CloudFormation can't multiply.

How many photos a second a busy worker does is what the service has measured, else what was measured for its type.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from botsite import aws
from deploy import stacks
from deploy.cfn.cloudformation import StackError
from deploy.service import Service
from detection.record.schemas import Status
from metrics import backlog
from metrics.backlog import BadSetting
from metrics.machine_types import TYPES
from metrics.policy import STEPS

# A speed that differs less from the deployed one changes nothing: the next hundred photos would change it back.
_HYSTERESIS = 0.25
# So many of the newest photos make a mean.
PHOTOS = 100
# Of a type without a number: the worker on two whole cores, `make bench`.
UNKNOWN = 32.0
# A measurement is believed up to this factor from what is known of the type; the photos may be of another one.
_FACTOR = 4


def steps(service: Service, given: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that follow from what the operator gives now, or gave before; raise StackError."""
    values = stacks.values(service, "workers", given)
    photos_per_second = float(values["PhotosPerSecond"]) or _speed(service, values["WorkerType"])
    goal = float(values["LatencyGoalSeconds"])
    try:
        target = float(values["BacklogTarget"]) or backlog.acceptable(goal, photos_per_second)
    except BadSetting as error:
        raise StackError(str(error)) from error
    return {
        "BacklogSteps": ",".join(f"{number * target:.10g}" for number in range(1, STEPS)),
        "WorkerPhotosPerSecond": f"{photos_per_second:.10g}",
    }


def _speed(service: Service, worker_type: str) -> float:
    """Return the speed of a worker; of another type than the deployed one, what was measured for that type."""
    stack = service.find("workers")
    deployed = stack.parameters if stack else {}
    if deployed.get("WorkerType") != worker_type:
        return usual_speed(worker_type)
    now, before = _believed(service, worker_type), _deployed(deployed) or _told(service)
    return before if before and abs(now / before - 1) <= _HYSTERESIS else now


def _deployed(values: Mapping[str, str]) -> float | None:
    """Return the speed that the deployed target is made of, None if it is the operator's."""
    if "BacklogSteps" not in values or float(values["BacklogTarget"]):
        return None
    return float(values["BacklogSteps"].partition(",")[0]) / float(values["LatencyGoalSeconds"])


def _told(service: Service) -> float | None:
    """Return the speed that the deployed sites were told, None if they are of an older release."""
    web = service.find("web")
    return float(web.parameters["WorkerPhotosPerSecond"]) if web and "WorkerPhotosPerSecond" in web.parameters else None


def _believed(service: Service, worker_type: str) -> float:
    """Return the photos per second that a worker does, of two digits: as measured, if that can be."""
    known = usual_speed(worker_type)
    own = measured_speed(service)
    return float(f"{min(max(own, known / _FACTOR), known * _FACTOR):.2g}") if own else known


def usual_speed(worker_type: str) -> float:
    """Return the photos per second that were measured for a type."""
    return TYPES[worker_type].photos_per_second if worker_type in TYPES else UNKNOWN


def measured_speed(service: Service) -> float | None:
    """Return the photos per second that the newest photos tell.

    None before there are a hundred, or if the table can't be read. A photo takes its CPU time from all CPUs of its
    machine together.
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
