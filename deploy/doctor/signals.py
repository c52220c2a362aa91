"""Check what the service says of itself: its alarms, the metric that workers scale by, and its dead letters."""

from datetime import UTC, datetime, timedelta
from typing import Any

from botsite import aws
from botsite.roles import YOLO5
from deploy import stacks
from deploy.cfn import template
from deploy.service import Service
from metrics import cloudwatch
from metrics.backlog import BACKLOG
from metrics.cloudwatch import Metric
from metrics.health.alarms import judge_alarms
from metrics.health.findings import Finding, failed, ok, worst

_LOOK_BACK = timedelta(minutes=20)


def read_alarms(service: Service) -> Finding[Any]:
    """Compare the service's alarms with those of the templates, and with what they should say."""
    return judge_alarms(cloudwatch.alarms_of(service.prefix, YOLO5.group(service)), expected_alarms(service))


def expected_alarms(service: Service) -> list[str]:
    """Return the names of the templates' alarms."""
    texts = [template.read(stacks.TEMPLATES / f"{part}.yaml") for part in stacks.order()]
    return sorted(
        str(text.resolve(resource["Properties"]["AlarmName"], {"Prefix": service.prefix}))
        for text in texts
        for resource in text.all_resources.values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    )


def read_metric(service: Service) -> Finding[Any]:
    """Ask CloudWatch for the newest point of BacklogPerInstance."""
    workers = service.stack("workers").outputs
    now = datetime.now(UTC)
    dimensions = (("AutoScalingGroupName", workers["Yolo5GroupName"]),)
    metric = Metric(workers["MetricNamespace"], BACKLOG, dimensions, "Maximum")
    [points] = cloudwatch.points([metric], now - _LOOK_BACK)
    if not points:
        return judge_metric(None, 0.0, service)
    return judge_metric(now.timestamp() - points[-1].at, points[-1].value, service)


def judge_metric(age_seconds: float | None, value: float, service: Service) -> Finding[Any]:
    """Judge the newest point by its age, which is None without a point."""
    todo = (
        f"Without it the group neither grows nor shrinks. Read the logs in /{service}/metrics; if you terminate the "
        f"instance of {service}-metrics, the group starts another."
    )
    if age_seconds is None:
        return failed(f"no point of {BACKLOG} for {_LOOK_BACK.seconds // 60} minutes", todo)
    seen = f"{BACKLOG} was {value:g}, {max(age_seconds, 0):.0f} s ago"
    return ok(seen) if age_seconds <= cloudwatch.STALE_AFTER_SECONDS else failed(seen, todo)


def count_dead_letters(service: Service) -> Finding[Any]:
    """Count the dead jobs and the dead metric ticks."""
    jobs = service.output("queue", "JobsDlqUrl")
    ticks = aws.client("sqs").get_queue_url(QueueName=service.output("queue", "MetricsDlqName"))["QueueUrl"]
    return judge_dead_letters(cloudwatch.queue(jobs).unfinished, cloudwatch.queue(ticks).unfinished, service)


def judge_dead_letters(jobs: int, ticks: int, service: Service) -> Finding[Any]:
    """Judge the numbers of dead jobs and dead metric ticks."""
    found = [ok("no dead letters")]
    if jobs:
        todo = "List them with `manage.py dlq list`, fix the cause, then run `manage.py dlq replay` or `dlq purge`."
        found.append(failed(f"{jobs} dead jobs", todo))
    if ticks:
        purge = f"aws sqs purge-queue on {service}-metrics-dlq"
        found.append(failed(f"{ticks} dead metric ticks", f"Read the logs in /{service}/metrics, then {purge}."))
    return worst(found)
