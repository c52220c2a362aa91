"""`provision` and `stack_env`, run against an emulated AWS."""

import io
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from botsite import aws
from deploy import provision, stacks
from deploy.cfn import cloudformation
from deploy.cfn.cloudformation import Change, Event
from deploy.images import ami, bake, latest
from deploy.images.roles import ImageSpec, Place
from deploy.service import Service
from tests.support import emulators
from tests.support.deployed import statuses
from tests.support.processes import wait_until

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An emulated AWS for this module, which the code under test uses as AWS."""
    with emulators.ministack() as url:
        yield url


@pytest.fixture
def prefix(endpoint: str) -> str:
    """A prefix for this test: tests share the emulator, but nothing in it."""
    return f"try-{next(numbers)}"


@pytest.fixture(scope="module")
def made(endpoint: str) -> str:
    """The prefix of a provisioned service, for tests that only look at it or plan."""
    provision.deploy(Service("made"), {"KeptDays": "7"})
    return "made"


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the templates that a test may edit."""
    copy = Path(shutil.copytree(stacks.TEMPLATES, tmp_path / "cloudformation"))
    monkeypatch.setattr(stacks, "TEMPLATES", copy)
    return copy


def run(command: str, *arguments: str) -> str:
    """Run a management command and return what it printed."""
    output = io.StringIO()
    call_command(command, *arguments, stdout=output)
    return output.getvalue()


def queue(prefix: str, name: str) -> dict[str, str]:
    """Return a queue's attributes."""
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName=f"{prefix}-{name}")["QueueUrl"]
    attributes: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return attributes


def redrive(attributes: dict[str, str]) -> tuple[str, int]:
    """Return the ARN of a queue's dead-letter queue, and the number of receives before a message goes there."""
    policy = json.loads(attributes["RedrivePolicy"])
    return policy["deadLetterTargetArn"], int(policy["maxReceiveCount"])


def spoil(templates: Path, part: str, old: str, new: str) -> None:
    """Replace a text in one template."""
    path = templates / f"{part}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


# ------------------------------------------------------------------------------------------ what it makes


def test_provision_creates_queues_with_dead_letter_queues(made: str) -> None:
    jobs, metrics = queue(made, "jobs"), queue(made, "metrics")
    wanted = {
        "VisibilityTimeout": "60",
        "ReceiveMessageWaitTimeSeconds": "10",
        "MessageRetentionPeriod": "345600",
        "MaximumMessageSize": "262144",
        "SqsManagedSseEnabled": "true",
    }
    assert {name: jobs[name] for name in wanted} == wanted
    assert metrics["MessageRetentionPeriod"] == "300"
    assert redrive(jobs) == (queue(made, "jobs-dlq")["QueueArn"], 50)
    assert redrive(metrics) == (queue(made, "metrics-dlq")["QueueArn"], 3)
    assert queue(made, "jobs-dlq")["MessageRetentionPeriod"] == "1209600"


def test_provision_creates_table_with_indexes_and_expiry(made: str) -> None:
    dynamodb = aws.client("dynamodb")
    table = dynamodb.describe_table(TableName=f"{made}-predictions")["Table"]
    keys = {
        index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
        for index in table["GlobalSecondaryIndexes"]
    }
    assert [key["AttributeName"] for key in table["KeySchema"]] == ["prediction_id"]
    assert keys == {
        "by_chat": ["chat_id", "created_at"],
        "by_status": ["status", "created_at"],
        "by_delivery": ["delivery", "created_at"],
        "by_time": ["kind", "created_at"],
    }
    expiry = dynamodb.describe_time_to_live(TableName=f"{made}-predictions")["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}


def test_indexes_hold_list_columns_and_no_detections(made: str) -> None:
    shown = {
        "status",
        "delivery",
        "chat_id",
        "message_id",
        "created_at",
        "finished_at",
        "model",
        "inference_ms",
        "error",
    }
    table = aws.client("dynamodb").describe_table(TableName=f"{made}-predictions")["Table"]
    for index in table["GlobalSecondaryIndexes"]:
        held = {*index["Projection"]["NonKeyAttributes"], *(key["AttributeName"] for key in index["KeySchema"])}
        assert shown - held == set(), index["IndexName"]
        assert "detections" not in held


def test_provision_creates_private_self_emptying_bucket(made: str) -> None:
    s3, bucket = aws.client("s3"), f"{made}-images-000000000000-us-east-1"
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    expiry = {rule["Filter"]["Prefix"]: rule["Expiration"]["Days"] for rule in rules if "Expiration" in rule}
    assert expiry == {"photos/": 7, "results/": 7, "bakes/": 1}
    assert [rule["AbortIncompleteMultipartUpload"] for rule in rules if "Expiration" not in rule] == [
        {"DaysAfterInitiation": 1}
    ]
    assert set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    statement = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"][0]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_provision_reports_each_resource(prefix: str) -> None:
    lines = run("provision", "--prefix", prefix).splitlines()
    assert any(line.split() == [f"{prefix}-queue", "CREATE_COMPLETE", "JobsQueue", "AWS::SQS::Queue"] for line in lines)
    created = [f"{prefix}-{part}: created" for part in stacks.ORDER]
    assert [line for line in lines if ": created" in line] == created


def test_stacks_carry_our_tags(made: str) -> None:
    assert Service(made).stack("queue").tags == {"Project": made, "ManagedBy": "object-detection-service"}


# ------------------------------------------------------------------------------------- again, and otherwise


def test_second_run_changes_nothing(prefix: str) -> None:
    first = provision.deploy(Service(prefix))
    events: list[Event] = []
    second = provision.deploy(Service(prefix), report=events.append)
    assert set(first.values()) == {"created"}
    assert (set(second.values()), events) == ({"unchanged"}, [])
    assert aws.client("cloudformation").list_change_sets(StackName=f"{prefix}-queue")["Summaries"] == []


def test_changed_parameter_updates_only_its_stack(prefix: str) -> None:
    provision.deploy(Service(prefix))
    updated = provision.deploy(Service(prefix), {"JobsVisibilitySeconds": "90"})
    changed = {stack for stack, what in updated.items() if what != "unchanged"}
    assert (changed, updated[f"{prefix}-queue"]) == ({f"{prefix}-queue"}, "updated")
    provision.deploy(Service(prefix))
    assert queue(prefix, "jobs")["VisibilityTimeout"] == "90"


def test_unknown_parameter_is_rejected_with_list(prefix: str) -> None:
    with pytest.raises(CommandError, match=r"Unknown parameter KeptDay\. The templates have .*KeptDays"):
        run("provision", "--prefix", prefix, "--parameter", "KeptDay=7")
    assert statuses(prefix) == {}


def test_manual_change_to_queue_is_reported(prefix: str) -> None:
    provision.deploy(Service(prefix))
    url = Service(prefix).stack("queue").outputs["JobsQueueUrl"]
    aws.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "7"})
    with pytest.raises(CommandError, match=r'JobsQueue .*VisibilityTimeout: "60" in the template, "7" live'):
        run("provision", "--prefix", prefix)


def test_manually_opened_port_is_reported(prefix: str) -> None:
    provision.deploy(Service(prefix))
    group = Service(prefix).stack("network").outputs["WorkersSecurityGroupId"]
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    aws.client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[ssh])
    with pytest.raises(CommandError, match=r"WorkersSecurityGroup .*SecurityGroupIngress: \[\] in the template"):
        run("provision", "--prefix", prefix)


def test_manual_change_to_group_is_reported(prefix: str) -> None:
    provision.deploy(Service(prefix))
    aws.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=f"{prefix}-yolo5", MaxSize=50)
    with pytest.raises(CommandError, match=r'Yolo5Group .*MaxSize: "4" in the template, 50 live'):
        run("provision", "--prefix", prefix)


# --------------------------------------------------------------------------------------------------- plan


def test_plan_of_new_service_creates_nothing(prefix: str) -> None:
    printed = run("provision", "--prefix", prefix, "--plan")
    rows = [line.split() for line in printed.splitlines()]
    assert rows[0] == ["stack", "action", "logical", "id", "type", "replacement"]
    assert [f"{prefix}-storage", "Add", "PredictionsTable", "AWS::DynamoDB::Table", "-"] in rows
    assert [f"{prefix}-queue", "Add", "MetricsDlq", "AWS::SQS::Queue", "-"] in rows
    assert [row[0] for row in rows if row and row[0] == "total"] == ["total"] * 2
    assert statuses(prefix) == {}


def test_plan_of_change_changes_nothing(made: str) -> None:
    changes = stacks.plan(Service(made), {"JobsMaxReceives": "7"})
    assert changes == [Change(f"{made}-queue", "Modify", "JobsQueue", "AWS::SQS::Queue")]
    assert redrive(queue(made, "jobs"))[1] == 50


def test_plan_without_changes_says_so(made: str) -> None:
    printed = run("provision", "--prefix", made, "--plan")
    assert printed.splitlines()[0] == f"Nothing would change in the stacks of {made}."


def test_plan_of_new_image_includes_group(made: str) -> None:
    image = aws.client("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    assert stacks.plan(Service(made), {"Yolo5ImageId": image}) == [
        Change(f"{made}-workers", "Modify", "Yolo5LaunchTemplate", "AWS::EC2::LaunchTemplate"),
        Change(f"{made}-workers", "Modify", "Yolo5Group", "AWS::AutoScaling::AutoScalingGroup"),
    ]


def test_plan_shows_replacements_and_removals(made: str, templates: Path) -> None:
    spoil(templates, "queue", "QueueName: !Sub '${Prefix}-jobs-dlq'", "QueueName: !Sub '${Prefix}-dead'")
    spoil(templates, "alarms", "TicksDeadAlarm:", "DeadTicksAlarm:")
    rows = {(one.action, one.logical_id, one.replacement) for one in stacks.plan(Service(made))}
    assert rows == {
        ("Modify", "JobsDlq", "True"),
        ("Modify", "JobsQueue", ""),
        ("Add", "DeadTicksAlarm", ""),
        ("Remove", "TicksDeadAlarm", ""),
    }


# ------------------------------------------------------------------------------------------------- images


def test_missing_images_are_baked_once(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator can't bake, so this only registers an image."""

    def register(service: Service, where: Place, what: ImageSpec, say: object) -> None:
        marks = [{"ResourceType": "image", "Tags": service.tag_list(Role=what.role)}]
        aws.client("ec2").register_image(Name=f"{service}-{what.role}", TagSpecifications=marks)

    monkeypatch.setattr(latest, "_any", lambda: None)
    monkeypatch.setattr(bake, "bake", register)
    first, second = run("provision", "--prefix", prefix), run("provision", "--prefix", prefix)
    roles = ["polybot", "yolo5", "metrics"]
    assert [role for role in roles if f"{role} has no image yet" in first] == roles
    assert "Baking" not in second
    started = Service(prefix).stack("workers").parameters["Yolo5ImageId"]
    assert started == ami.of_role(Service(prefix), "yolo5")[0].id


def test_bake_is_not_retried_forever(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latest, "_any", lambda: None)
    monkeypatch.setattr(bake, "bake", lambda *arguments: None)
    with pytest.raises(CommandError, match=rf"no image of polybot.*bake_ami polybot --prefix {prefix}"):
        run("provision", "--prefix", prefix)


# --------------------------------------------------------------------------- failure and interruption


def test_failed_update_rolls_back_and_names_cause(prefix: str, templates: Path) -> None:
    provision.deploy(Service(prefix))
    spoil(templates, "queue", "VisibilityTimeout: !Ref JobsVisibilitySeconds", "VisibilityTimeout: 50000")
    with pytest.raises(
        CommandError, match=rf"{prefix}-queue is UPDATE_ROLLBACK_COMPLETE: JobsQueue .*VisibilityTimeout"
    ):
        run("provision", "--prefix", prefix)
    assert queue(prefix, "jobs")["VisibilityTimeout"] == "60"


def test_corrected_template_is_deployed_after_failed_creation(prefix: str, templates: Path) -> None:
    good = (templates / "queue.yaml").read_text()
    spoil(templates, "queue", "VisibilityTimeout: !Ref JobsVisibilitySeconds", "VisibilityTimeout: 50000")
    with pytest.raises(stacks.StackError, match="JobsQueue"):
        provision.deploy(Service(prefix))
    assert statuses(prefix)[f"{prefix}-queue"] == "ROLLBACK_COMPLETE"
    (templates / "queue.yaml").write_text(good)
    assert provision.deploy(Service(prefix))[f"{prefix}-queue"] == "created"


def test_rejected_template_leaves_no_empty_stack(prefix: str, templates: Path) -> None:
    spoil(templates, "queue", "Type: AWS::SQS::Queue", "Type: AWS::SQS::NoSuchThing")
    with pytest.raises(CommandError, match="NoSuchThing"):
        run("provision", "--prefix", prefix)
    before = stacks.ORDER[: stacks.ORDER.index("queue")]
    assert statuses(prefix) == {f"{prefix}-{part}": "CREATE_COMPLETE" for part in before}


@pytest.mark.parametrize("left", ["provision", "another"])
def test_run_interrupted_before_execution_is_resumed(prefix: str, left: str) -> None:
    aws.client("cloudformation").create_change_set(
        StackName=f"{prefix}-storage",
        ChangeSetName=left,
        ChangeSetType="CREATE",
        TemplateBody=(stacks.TEMPLATES / "storage.yaml").read_text(),
        Parameters=[{"ParameterKey": "Prefix", "ParameterValue": prefix}],
    )
    assert statuses(prefix) == {f"{prefix}-storage": "REVIEW_IN_PROGRESS"}
    assert set(provision.deploy(Service(prefix)).values()) == {"created"}


def test_update_interrupted_before_execution_is_resumed(prefix: str) -> None:
    provision.deploy(Service(prefix))
    aws.client("cloudformation").delete_change_set(StackName=f"{prefix}-queue", ChangeSetName="provision")
    aws.client("cloudformation").create_change_set(
        StackName=f"{prefix}-queue",
        ChangeSetName="provision",
        UsePreviousTemplate=True,
        Parameters=[
            {"ParameterKey": "Prefix", "ParameterValue": prefix},
            {"ParameterKey": "JobsMaxReceives", "ParameterValue": "9"},
        ],
    )
    assert provision.deploy(Service(prefix), {"JobsMaxReceives": "7"})[f"{prefix}-queue"] == "updated"
    assert redrive(queue(prefix, "jobs"))[1] == 7


def test_new_default_replaces_earlier_one(prefix: str, templates: Path) -> None:
    spoil(templates, "queue", "Default: 50", "Default: 5")
    provision.deploy(Service(prefix), {"JobsKeptSeconds": "7200"})
    spoil(templates, "queue", "Default: 5", "Default: 50")
    assert redrive(queue(prefix, "jobs"))[1] == 5
    assert stacks.plan(Service(prefix)) == [Change(f"{prefix}-queue", "Modify", "JobsQueue", "AWS::SQS::Queue")]
    provision.deploy(Service(prefix))
    kept = queue(prefix, "jobs")
    assert (redrive(kept)[1], kept["MessageRetentionPeriod"]) == (50, "7200")


def test_value_no_longer_allowed_is_rejected_before_any_change(prefix: str, templates: Path) -> None:
    parts = ("storage", "web", "workers", "metrics")
    for part in parts:
        spoil(templates, part, "AllowedValues: [5,", "AllowedValues: [3, 5,")
    provision.deploy(Service(prefix), {"KeptDays": "3"})
    for part in parts:
        spoil(templates, part, "AllowedValues: [3, 5,", "AllowedValues: [5,")
    for plan in ([], ["--plan"]):
        with pytest.raises(CommandError, match=f"{prefix}-storage has KeptDays=3, .* has to be one of 5, 7, .*=VALUE"):
            run("provision", "--prefix", prefix, *plan)
    assert stacks.plan(Service(prefix), {"KeptDays": "5"})


def test_run_interrupted_during_execution_is_resumed(prefix: str) -> None:
    def interrupt(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        provision.deploy(Service(prefix), report=interrupt)
    assert provision.deploy(Service(prefix))[f"{prefix}-queue"] == "created"
    assert set(statuses(prefix).values()) == {"CREATE_COMPLETE"}


def test_teardown_cleans_up_after_interrupted_run(prefix: str, templates: Path) -> None:
    spoil(templates, "queue", "VisibilityTimeout: !Ref JobsVisibilitySeconds", "VisibilityTimeout: 50000")
    with pytest.raises(stacks.StackError):
        provision.deploy(Service(prefix))
    run("teardown", "--prefix", prefix, "--yes")
    assert statuses(prefix) == {}


def test_stuck_stack_is_reported_with_advice(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator never has such states, so the stack's description is made up."""
    tags = {"Project": prefix, "ManagedBy": "object-detection-service"}
    for status, what in (
        ("UPDATE_ROLLBACK_FAILED", f"continue-update-rollback --stack-name {prefix}-network"),
        ("ROLLBACK_FAILED", f"teardown --prefix {prefix}"),
        ("DELETE_FAILED", f"teardown --prefix {prefix}"),
    ):
        monkeypatch.setattr(
            cloudformation, "describe", lambda name, status=status: cloudformation.Stack(name, "id", status, tags)
        )
        with pytest.raises(CommandError, match=rf"{prefix}-network is {status}\. .*{what}"):
            run("provision", "--prefix", prefix)


@pytest.mark.parametrize("command", ["provision", "teardown"])
def test_foreign_stack_is_left_alone(prefix: str, command: str) -> None:
    provision.deploy(Service(prefix))
    stacks.delete(Service(prefix))
    aws.client("cloudformation").create_stack(
        StackName=f"{prefix}-storage",
        TemplateBody='{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}',
        Tags=[{"Key": "Project", "Value": prefix}],
    )
    wait_until(lambda: statuses(prefix) == {f"{prefix}-storage": "CREATE_COMPLETE"})
    with pytest.raises(CommandError, match=f"{prefix}-storage was not made by"):
        run(command, "--prefix", prefix)
    assert statuses(prefix) == {f"{prefix}-storage": "CREATE_COMPLETE"}


# ---------------------------------------------------------------------------------------------- stack_env


def test_shell_can_eval_stack_env(made: str, endpoint: str) -> None:
    script = f'set -a; eval "$({sys.executable} manage.py stack_env --prefix {made})"; env'
    shell = {"PATH": os.environ["PATH"], **KEYS, "AWS_ENDPOINT_URL": endpoint}
    printed = subprocess.run(["sh", "-ec", script], env=shell, cwd=ROOT, capture_output=True, text=True, check=True)
    wanted = {
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "JOBS_QUEUE_URL": f"{endpoint}/000000000000/{made}-jobs",
        "METRICS_QUEUE_URL": f"{endpoint}/000000000000/{made}-metrics",
        "IMAGES_BUCKET": f"{made}-images-000000000000-us-east-1",
        "PREDICTIONS_TABLE": f"{made}-predictions",
        "PREDICTIONS_KEPT_DAYS": "7",
        "ASG_NAME": f"{made}-yolo5",
        "METRIC_NAMESPACE": "ObjectDetection",
        "BACKLOG_TARGET": "10",
        "KEEP_WARM_SECONDS": "600",
    }
    assert wanted.items() <= dict(line.partition("=")[::2] for line in printed.stdout.splitlines()).items()


def test_stack_env_prints_only_variables(made: str) -> None:
    names = [line.partition("=")[0] for line in run("stack_env", "--prefix", made).splitlines()]
    assert names[:2] == ["AWS_REGION", "AWS_ENDPOINT_URL"]
    assert all(name.replace("_", "").isalpha() for name in names)


def test_stack_env_of_missing_service_gives_advice(prefix: str) -> None:
    with pytest.raises(CommandError, match=rf"no stack {prefix}-queue in us-east-1.*provision --prefix {prefix}"):
        run("stack_env", "--prefix", prefix)


# -------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("prefix", ["Objdet", "ab", "1abc", "a_b", "a" * 21, "a b", "abc-"])
def test_invalid_prefix_is_rejected(prefix: str) -> None:
    for command in ("provision", "stack_env", "teardown"):
        with pytest.raises(CommandError, match="3 to 20 lower-case letters"):
            run(command, "--prefix", prefix)


def test_taken_name_is_reported_with_advice(prefix: str) -> None:
    bucket = f"{prefix}-images-000000000000-us-east-1"
    aws.client("s3").create_bucket(Bucket=bucket)
    for _ in ("the first run", "another"):
        with pytest.raises(
            CommandError, match=r"ImagesBucket: .*already exists.* Something else has this name\. Choose"
        ):
            run("provision", "--prefix", prefix)
    aws.client("s3").delete_bucket(Bucket=bucket)
    assert provision.deploy(Service(prefix))[f"{prefix}-storage"] == "created"
