"""Work out a worker's speed and the target of BacklogPerInstance: CloudFormation can't multiply."""

from collections.abc import Mapping

from deploy import speed, stacks
from deploy.cfn.cloudformation import StackError
from deploy.service import Service
from metrics import backlog
from metrics.backlog import BadSetting
from metrics.policy import STEPS

# A speed that differs less from the deployed one changes nothing: the next hundred photos would change it back.
_HYSTERESIS = 0.25


def steps(service: Service, given: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that follow from what the operator gives now, or gave before; raise StackError."""
    values = stacks.values(service, "workers", given)
    photos_per_second = float(values["PhotosPerSecond"]) or _measured(service, values["WorkerType"])
    goal = float(values["LatencyGoalSeconds"])
    try:
        target = float(values["BacklogTarget"]) or backlog.acceptable(goal, photos_per_second)
    except BadSetting as error:
        raise StackError(str(error)) from error
    return {
        "BacklogSteps": ",".join(f"{number * target:.10g}" for number in range(1, STEPS)),
        "WorkerPhotosPerSecond": f"{photos_per_second:.10g}",
    }


def _measured(service: Service, worker_type: str) -> float:
    """Return the speed of a worker; of another type than the deployed one, what was measured for that type."""
    stack = service.find("workers")
    deployed = stack.parameters if stack else {}
    if deployed.get("WorkerType") != worker_type:
        return speed.usual(worker_type)
    now, before = speed.of(service, worker_type), _deployed(deployed) or _told(service)
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
