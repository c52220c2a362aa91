"""Whether the queues are as the workers take them to be, and nothing was given up."""

import json
from collections.abc import Mapping

from botsite import aws
from deploy.doctor.findings import Verdict, failed, ok, worst
from deploy.doctor.place import Place


def attributes(place: Place) -> Verdict:
    """Hold the attributes of the jobs queue against those it was deployed with."""
    stack = place.stack("queue")
    live = _attributes(place.output("queue", "JobsQueueUrl"), "VisibilityTimeout", "RedrivePolicy")
    visibility = int(stack.parameters["JobsVisibilitySeconds"])
    policy: dict[str, str | int] = {
        "deadLetterTargetArn": stack.outputs["JobsDlqArn"],
        "maxReceiveCount": int(stack.parameters["JobsMaxReceives"]),
    }
    return judge_attributes(live, visibility, policy)


def judge_attributes(live: Mapping[str, str], visibility_seconds: int, policy: Mapping[str, str | int]) -> Verdict:
    """Judge what SQS says of the queue against the visibility timeout and the redrive policy that were deployed."""
    redrive = json.loads(live.get("RedrivePolicy", "{}"))
    redrive |= {"maxReceiveCount": int(redrive["maxReceiveCount"])} if "maxReceiveCount" in redrive else {}
    has = int(live["VisibilityTimeout"])
    verdicts = [ok(f"visibility timeout {has} s, a dead letter after {redrive.get('maxReceiveCount')} receives")]
    if has != visibility_seconds:
        verdicts.append(
            failed(
                f"the visibility timeout is {has} s instead of {visibility_seconds} s: a worker asks for it when it "
                "starts, and extends its jobs each third of what it was then",
                f"Set it back: aws sqs set-queue-attributes --attributes VisibilityTimeout={visibility_seconds}; or "
                "deploy the other with --parameter JobsVisibilitySeconds=N and replace the workers.",
            )
        )
    if redrive != policy:
        verdicts.append(
            failed(
                f"the redrive policy is {json.dumps(redrive)} instead of {json.dumps(policy)}: without one, a job that "
                "fails is deleted and its sender not told",
                "Set it back: aws sqs set-queue-attributes --attributes with RedrivePolicy as above.",
            )
        )
    return worst(verdicts)


def dead_letters(place: Place) -> Verdict:
    """Count what was given up."""
    sqs = aws.client("sqs")
    jobs = place.output("queue", "JobsDlqUrl")
    ticks = sqs.get_queue_url(QueueName=place.output("queue", "MetricsDlqName"))["QueueUrl"]
    return judge_dead_letters(_count(jobs), _count(ticks), place.prefix)


def judge_dead_letters(jobs: int, ticks: int, prefix: str) -> Verdict:
    """Judge the numbers of dead jobs and dead ticks."""
    verdicts = [ok("no job and no tick of the metric was given up")]
    if jobs:
        verdicts.append(
            failed(
                f"{jobs} jobs were given up",
                "See them with `manage.py dlq list`, mend the cause, then `manage.py dlq replay` or `dlq purge`.",
            )
        )
    if ticks:
        purge = f"aws sqs purge-queue on {prefix}-metrics-dlq"
        verdicts.append(
            failed(f"{ticks} ticks of the metric were given up", f"Read the logs in /{prefix}/metrics, then {purge}.")
        )
    return worst(verdicts)


def _count(url: str) -> int:
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    return sum(map(int, _attributes(url, *names).values()))


def _attributes(url: str, *names: str) -> dict[str, str]:
    answer: dict[str, str] = (
        aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=list(names)).get("Attributes", {})
    )
    return answer
