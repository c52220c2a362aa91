"""Wait for the first point of the metric: the alarm on missing points would ring while the first machine boots."""

import time
from datetime import UTC, datetime, timedelta

from botsite import aws
from deploy.cfn.cloudformation import Say
from deploy.service import Service
from metrics import cloudwatch
from metrics.backlog import BACKLOG
from metrics.cloudwatch import Metric

_SECONDS = 10 * 60
_POLL_SECONDS = 10
_RECENT = timedelta(minutes=2)


@aws.real_only(otherwise=False)
def awaited(service: Service) -> bool:
    """Return whether the alarms are still to be made; an emulator launches no machine that publishes."""
    return service.find("alarms") is None


def wait(service: Service, say: Say) -> None:
    """Return once the metric is published; after ten minutes return anyway, as the alarm then rings rightly."""
    deadline, workers = time.monotonic() + _SECONDS, service.stack("workers").outputs
    dimensions = (("AutoScalingGroupName", workers["Yolo5GroupName"]),)
    metric = Metric(workers["MetricNamespace"], BACKLOG, dimensions)
    told = False
    while not cloudwatch.points([metric], datetime.now(UTC) - _RECENT)[0]:
        if time.monotonic() > deadline:
            say(f"The metric has no point after {_SECONDS // 60} minutes; its alarm, {service}-metric-gap, will ring")
            return
        if not told:
            say("waiting for the first point of the metric, before its alarm is made")
            told = True
        aws.pause(_POLL_SECONDS)
