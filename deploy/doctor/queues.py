"""Check that there are no dead letters."""

from botsite import aws
from deploy.doctor.findings import Verdict, failed, ok, worst
from deploy.service import Service
from metrics import cloudwatch


def dead_letters(service: Service) -> Verdict:
    """Count the dead letters."""
    sqs = aws.client("sqs")
    jobs = service.output("queue", "JobsDlqUrl")
    ticks = sqs.get_queue_url(QueueName=service.output("queue", "MetricsDlqName"))["QueueUrl"]
    return judge_dead_letters(_count(jobs), _count(ticks), service)


def judge_dead_letters(jobs: int, ticks: int, service: Service) -> Verdict:
    """Judge the numbers of dead jobs and dead metric ticks."""
    verdicts = [ok("no dead letters")]
    if jobs:
        verdicts.append(
            failed(
                f"{jobs} dead jobs",
                "List them with `manage.py dlq list`, fix the cause, then run `manage.py dlq replay` or `dlq purge`.",
            )
        )
    if ticks:
        purge = f"aws sqs purge-queue on {service}-metrics-dlq"
        verdicts.append(failed(f"{ticks} dead metric ticks", f"Read the logs in /{service}/metrics, then {purge}."))
    return worst(verdicts)


def _count(url: str) -> int:
    queue = cloudwatch.queue(url)
    return queue.visible + queue.in_flight
