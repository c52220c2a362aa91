"""`provision` and `doctor --drift` have CloudFormation compare the live settings, and say what it didn't compare."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.management import CommandError

from botsite import aws
from deploy import provision, stacks
from deploy.cfn import drift
from deploy.cfn.cloudformation import Event
from deploy.doctor import checks
from deploy.service import Service
from metrics.health.findings import Health
from tests.support import judged
from tests.support.provisioning import run

pytestmark = pytest.mark.slow


@contextmanager
def hooked(event: str, call: Any) -> Iterator[None]:
    """Have a function see, and change, what is said to CloudFormation or what it answers."""
    events = aws.client("cloudformation").meta.events
    events.register(event, call)
    try:
        yield
    finally:
        events.unregister(event, call)


def without_end(parsed: dict[str, Any], **_: object) -> None:
    """Have a detection take forever: the emulator has done it before it answers."""
    parsed["DetectionStatus"] = "DETECTION_IN_PROGRESS"


@pytest.mark.smoke
def test_untouched_service_matches_and_gaps_are_listed(made: str) -> None:
    events: list[Event] = []
    found = stacks.find_drift(Service(made), events.append)
    assert (found.differences, found.unfinished) == ([], [])
    assert [(one.stack, one.status) for one in events] == [
        (Service(made).stack_name(part), "DETECTION_COMPLETE") for part in stacks.order()
    ]
    assert found.skipped["AWS::EC2::VPC"] == set()
    assert found.skipped["AWS::S3::Bucket"] == {
        "BucketEncryption",
        "LifecycleConfiguration",
        "OwnershipControls",
        "PublicAccessBlockConfiguration",
    }
    assert "GlobalSecondaryIndexes" in found.skipped["AWS::DynamoDB::Table"]
    assert "AWS::Logs::LogGroup" not in found.skipped


def test_results_are_read_to_the_last_page(made: str) -> None:
    whole = stacks.find_drift(Service(made))

    def small(params: dict[str, Any], **_: object) -> None:
        params["MaxResults"] = 1

    with hooked("before-parameter-build.cloudformation.DescribeStackResourceDrifts", small):
        assert stacks.find_drift(Service(made)) == whole


def test_manual_change_is_reported_after_everything_is_deployed(prefix: str) -> None:
    text = run("provision", "--prefix", prefix)
    assert "8 of 8 compared" in text
    assert "Not compared: AutoScaling::AutoScalingGroup, " in text
    assert ", S3::Bucket (BucketEncryption, LifecycleConfiguration, " in text
    url = Service(prefix).stack("queue").outputs["JobsQueueUrl"]
    aws.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "7"})
    aws.client("dynamodb").update_table(TableName=f"{prefix}-predictions", DeletionProtectionEnabled=False)
    with pytest.raises(CommandError, match=r"Everything is deployed, but") as raised:
        run("provision", "--prefix", prefix)
    assert str(raised.value).splitlines()[1:] == [
        f"  {prefix}-storage PredictionsTable (AWS::DynamoDB::Table) DeletionProtectionEnabled: true in the template, "
        "false live",
        f"  {prefix}-queue JobsQueue (AWS::SQS::Queue) VisibilityTimeout: 60 in the template, 7 live",
    ]


def test_deleted_resource_is_reported(prefix: str) -> None:
    provision.deploy(Service(prefix))
    aws.client("logs").delete_log_group(logGroupName=f"/{prefix}/polybot")
    found = checks.find_drift(Service(prefix), stacks.silent)
    assert found.state is Health.FAILED
    assert found.seen.startswith(f"{prefix}-web PolybotLogs (AWS::Logs::LogGroup) is gone. ")


@pytest.mark.smoke
def test_plan_starts_no_comparison(made: str) -> None:
    with judged.asked() as asked:
        run("provision", "--prefix", made, "--plan")
    assert "cloudformation:DescribeStacks" in asked
    assert [one for one in asked if "Detect" in one] == []


@pytest.mark.smoke
def test_slow_comparison_is_given_up_with_a_sentence(made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "_SECONDS", 0)
    with hooked("after-call.cloudformation.DescribeStackDriftDetectionStatus", without_end):
        found = checks.find_drift(Service(made), stacks.silent)
    assert found.state is Health.UNKNOWN
    assert f"still comparing {made}-network, {made}-storage" in found.seen
    assert "doctor --drift" in found.seen
