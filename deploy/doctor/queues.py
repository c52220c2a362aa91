"""Check the settings of the jobs queue, and that there are no dead letters."""

import json
from collections.abc import Mapping

from botsite import aws
from deploy.doctor.findings import Verdict, failed, ok, worst
from deploy.service import Service
from metrics import cloudwatch


def attributes(service: Service) -> Verdict:
    """Compare the jobs queue's attributes with those it was deployed with."""
    stack = service.stack("queue")
    live = _attributes(service.output("queue", "JobsQueueUrl"), "VisibilityTimeout", "RedrivePolicy")
    visibility = int(stack.parameters["JobsVisibilitySeconds"])
    policy: dict[str, str | int] = {
        "deadLetterTargetArn": stack.outputs["JobsDlqArn"],
        "maxReceiveCount": int(stack.parameters["JobsMaxReceives"]),
    }
    return judge_attributes(live, visibility, policy)


def judge_attributes(live: Mapping[str, str], visibility_seconds: int, policy: Mapping[str, str | int]) -> Verdict:
    """Judge the live attributes, given the visibility timeout and redrive policy that were deployed."""
    redrive = json.loads(live.get("RedrivePolicy", "{}"))
    redrive |= {"maxReceiveCount": int(redrive["maxReceiveCount"])} if "maxReceiveCount" in redrive else {}
    has = int(live["VisibilityTimeout"])
    verdicts = [ok(f"visibility timeout {has} s, dead letter after {redrive.get('maxReceiveCount')} receives")]
    if has != visibility_seconds:
        verdicts.append(
            failed(
                f"the visibility timeout is {has} s instead of {visibility_seconds} s: workers read it when they "
                "start, so a different visibility timeout means photos are processed twice",
                f"Set it back: aws sqs set-queue-attributes --attributes VisibilityTimeout={visibility_seconds}; or "
                "deploy the other with --parameter JobsVisibilitySeconds=N and replace the workers.",
            )
        )
    if redrive != policy:
        verdicts.append(
            failed(
                f"the redrive policy is {json.dumps(redrive)} instead of {json.dumps(policy)}: without one, failing "
                "jobs are lost and their senders never hear of it",
                "Set it back: aws sqs set-queue-attributes --attributes with this RedrivePolicy.",
            )
        )
    return worst(verdicts)


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


def _attributes(url: str, *names: str) -> dict[str, str]:
    answer: dict[str, str] = (
        aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=list(names)).get("Attributes", {})
    )
    return answer
