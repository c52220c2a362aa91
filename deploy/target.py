"""Work out the target of BacklogPerInstance, which the stacks take as values: CloudFormation can't multiply."""

from collections.abc import Mapping

from deploy import stacks
from deploy.cfn.cloudformation import StackError
from deploy.service import Service
from metrics import backlog
from metrics.backlog import BadSetting
from metrics.policy import STEPS

# What one worker of two cores does (docs/speed.md).
_PHOTOS_PER_SECOND = 32.0


def steps(service: Service, given: Mapping[str, str]) -> dict[str, str]:
    """Return the parameter BacklogSteps for what the operator gives now, or gave before; raise StackError."""
    values = stacks.values(service, "workers", given)
    try:
        target = float(values["BacklogTarget"]) or _acceptable(values)
    except BadSetting as error:
        raise StackError(str(error)) from error
    return {"BacklogSteps": ",".join(f"{number * target:.10g}" for number in range(1, STEPS))}


def _acceptable(values: Mapping[str, str]) -> float:
    speed = float(values["PhotosPerSecond"]) or _PHOTOS_PER_SECOND
    return backlog.acceptable(float(values["LatencyGoalSeconds"]), speed)
