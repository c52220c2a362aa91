"""`doctor` finds what is wrong with a running service, and reports what it can't check."""

import io
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from django.conf import settings
from django.core.management import CommandError, call_command

from botsite import aws
from deploy.certificates import self_signed
from deploy.doctor import checks
from deploy.local.stack import PREFIX, LocalStack
from deploy.service import Service
from metrics.backlog import METRICS
from metrics.health.findings import Finding, Health, ok
from tests.support import letters

# What an emulator can't tell.
NOT_HERE = {"quotas", "credit", "alarms", "capacity", "images"}


def check(name: str) -> Finding[Any]:
    """Run one check on the service that all tests share."""
    return checks.run(Service(PREFIX), [name])[0]


def report(*arguments: str) -> str:
    """Run the command; return what it printed."""
    output = io.StringIO()
    call_command("doctor", *arguments, stdout=output)
    return output.getvalue()


@pytest.fixture
def service(stack: LocalStack) -> LocalStack:
    """The shared service, without what other tests left: no dead letters, no update whose delivery fails.

    Its metric was just published: by itself it would be in up to 30 s.
    """
    letters.clear()
    bot = f"{stack.telegram_url}/bot{stack.env['TELEGRAM_TOKEN']}"
    httpx.post(f"{bot}/deleteWebhook", json={"drop_pending_updates": True}).raise_for_status()
    stack.set_webhook()
    point = {"Dimensions": [{"Name": "AutoScalingGroupName", "Value": stack.env["ASG_NAME"]}], "Value": 0}
    aws.client("cloudwatch").put_metric_data(
        Namespace=stack.env["METRIC_NAMESPACE"], MetricData=[{"MetricName": name, **point} for name in METRICS]
    )
    return stack


@pytest.fixture
def queue(stack: LocalStack) -> Iterator[str]:
    """The URL of the jobs queue, whose attributes are restored afterwards."""
    url, sqs = stack.env["JOBS_QUEUE_URL"], aws.client("sqs")
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    yield url
    sqs.set_queue_attributes(QueueUrl=url, Attributes=before)


def test_healthy_service_has_no_failures(service: LocalStack) -> None:
    found = {one["name"]: one["state"] for one in json.loads(report("--json"))}
    assert found == {name: "unknown" if name in NOT_HERE else "ok" for name in checks.CHECKS}


def test_report_has_line_for_each_check(service: LocalStack) -> None:
    lines = [line for line in report().splitlines() if not line.startswith(" ")]
    assert [line.split()[0] for line in lines] == list(checks.CHECKS)


def test_report_shows_no_secrets(service: LocalStack) -> None:
    text = report("--json")
    assert [name for name in ("TELEGRAM_TOKEN", "RESULTS_KEY", "ADMIN_PASSWORD") if service.env[name] in text] == []


def test_missing_service_fails_dependent_checks(stack: LocalStack) -> None:
    found = checks.run(Service("nobody"), ["dead-letters", "route", "zones"])
    assert [one.state for one in found] == [Health.FAILED, Health.FAILED, Health.OK]
    assert "There is no stack nobody-queue" in found[0].seen


def test_command_fails_and_names_failed_check(queue: str) -> None:
    aws.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "61"})
    with pytest.raises(CommandError, match=r"Failed: drift\.") as raised:
        report("--only", "zones", "--drift")
    assert raised.value.returncode == 1


def test_manual_change_is_only_looked_for_on_request(queue: str) -> None:
    aws.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "61"})
    output = io.StringIO()
    with pytest.raises(CommandError):
        call_command("doctor", "--only", "zones", "--drift", "--json", stdout=output)
    zones, drift = json.loads(output.getvalue())
    assert (zones["name"], drift["name"], drift["state"]) == ("zones", "drift", "failed")
    assert "JobsQueue (AWS::SQS::Queue) VisibilityTimeout: 60 in the template, 61 live" in drift["seen"]
    assert [one["name"] for one in json.loads(report("--only", "zones", "--json"))] == ["zones"]


def test_deleted_webhook_fails(stack: LocalStack) -> None:
    httpx.post(f"{stack.telegram_url}/bot{stack.env['TELEGRAM_TOKEN']}/deleteWebhook").raise_for_status()
    try:
        found = check("webhook")
    finally:
        stack.set_webhook()
    assert (found.state, found.todo) == (Health.FAILED, f"Run: python manage.py set_webhook --prefix {PREFIX}")
    assert "sends updates nowhere" in found.seen


def test_dead_letters_are_counted(service: LocalStack) -> None:
    url = Service(PREFIX).output("queue", "JobsDlqUrl")
    aws.client("sqs").send_message(QueueUrl=url, MessageBody="{}")
    try:
        found = check("dead-letters")
    finally:
        aws.client("sqs").purge_queue(QueueUrl=url)
    assert (found.state, found.seen) == (Health.FAILED, "1 dead jobs")


def test_alarm_without_data_fails(service: LocalStack) -> None:
    name = f"{PREFIX}-try"
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="ObjectDetection",
        MetricName="Misspelt",
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    try:
        assert (check("alarms").state, check("alarms").seen) == (Health.FAILED, f"1 without data: {name}")
    finally:
        aws.client("cloudwatch").delete_alarms(AlarmNames=[name])


def test_expired_certificate_fails(stack: LocalStack) -> None:
    arn, acm = Service(PREFIX).stack("web").parameters["CertificateArn"], aws.client("acm")
    before = acm.get_certificate(CertificateArn=arn)["Certificate"].encode()
    expired = self_signed.make("localhost", datetime.now(UTC) - timedelta(days=366))
    acm.import_certificate(CertificateArn=arn, Certificate=expired.certificate, PrivateKey=expired.key)
    try:
        found = check("certificate")
    finally:
        acm.import_certificate(CertificateArn=arn, Certificate=before, PrivateKey=expired.key)
    assert (found.state, "Telegram doesn't deliver" in found.seen) == (Health.FAILED, True)


def test_wrong_token_fails_without_being_shown(stack: LocalStack) -> None:
    secret, manager = stack.env["TELEGRAM_TOKEN_SECRET"], aws.client("secretsmanager")
    manager.put_secret_value(SecretId=secret, SecretString="1234567:AAAAAAAAAAAAAAAAAAAAAAAAAAAA")
    try:
        found = check("token")
    finally:
        manager.put_secret_value(SecretId=secret, SecretString=stack.env["TELEGRAM_TOKEN"])
    assert (found.state, "AAAA" in found.seen) == (Health.FAILED, False)


def test_load_balancer_without_sites_fails(stack: LocalStack) -> None:
    elb, arn = aws.client("elbv2"), Service(PREFIX).output("web", "TargetGroupArn")
    health = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    sites = [one["Target"] for one in health]
    elb.deregister_targets(TargetGroupArn=arn, Targets=sites)
    try:
        found = [one.state for one in checks.run(Service(PREFIX), ["route", "targets"])]
    finally:
        elb.register_targets(TargetGroupArn=arn, Targets=sites)
    assert found == [Health.FAILED, Health.FAILED]


def refused(service: Service) -> Finding[Any]:
    text = "User: arn:aws:iam::1:user/x is not authorized to perform: sqs:GetQueueAttributes on resource: y"
    raise ClientError({"Error": {"Code": "AccessDenied", "Message": text}}, "GetQueueAttributes")


def broken(service: Service) -> Finding[Any]:
    raise ZeroDivisionError("division by zero")


def test_exception_in_check_is_its_finding() -> None:
    found = checks.run(Service(PREFIX), ["refused", "broken"], {"refused": refused, "broken": broken})
    assert [(one.state, one.seen) for one in found] == [
        (Health.UNKNOWN, "these credentials lack sqs:GetQueueAttributes"),
        (Health.FAILED, "ZeroDivisionError: division by zero"),
    ]


def test_hanging_check_does_not_block_others() -> None:
    ended = threading.Event()
    hanging = {"hangs": lambda place: ok(str(ended.wait())), "quick": lambda place: ok("fine")}
    try:
        found = checks.run(Service(PREFIX), hanging, hanging, timeout_seconds=0.2)
    finally:
        ended.set()
    assert [one.seen for one in found] == ["no answer within 0.2 s", "fine"]


def test_without_aws_every_check_fails_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    aws._client.cache_clear()
    try:
        found = checks.run(Service(PREFIX), checks.CHECKS)
    finally:
        aws._client.cache_clear()
    # Only AWS itself is asked for the account's credits.
    assert [one.name for one in found if one.state is not Health.FAILED or not one.todo] == ["credit"]
