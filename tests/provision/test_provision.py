"""`provision` creates the stacks, changes only what has to change, and reports manual changes."""

import json

import pytest
from django.core.management import CommandError

from botsite import aws
from deploy import provision, stacks
from deploy.cfn import cloudformation
from deploy.cfn.cloudformation import Event
from deploy.images import ami, bake, latest
from deploy.images.spec import BuilderPlace, ImageSpec
from deploy.local.autoscaling import asg
from deploy.service import Service
from metrics import cloudwatch
from tests.support import emulators, local_images
from tests.support.deployed import statuses
from tests.support.provisioning import queue, redrive, run


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


def test_stored_data_is_protected_from_deletion(made: str) -> None:
    dynamodb, formation = aws.client("dynamodb"), aws.client("cloudformation")
    with pytest.raises(dynamodb.exceptions.ClientError, match="protected against deletion"):
        dynamodb.delete_table(TableName=f"{made}-predictions")
    with pytest.raises(formation.exceptions.ClientError, match="TerminationProtection is enabled"):
        formation.delete_stack(StackName=f"{made}-storage")
    assert [part for part in stacks.order() if Service(made).stack(part).protected] == ["storage"]


@pytest.mark.slow
def test_protection_is_put_back_by_next_run(prefix: str) -> None:
    provision.deploy(Service(prefix))
    cloudformation.protect(Service(prefix).stack("storage"), on=False)
    done = provision.deploy(Service(prefix))
    assert set(done.values()) == {"unchanged"}
    assert Service(prefix).stack("storage").protected


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
    s3, bucket = aws.client("s3"), f"{made}-images-{emulators.account()}-us-east-1"
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    expiry = {rule["Filter"]["Prefix"]: rule["Expiration"]["Days"] for rule in rules if "Expiration" in rule}
    assert expiry == {"photos/": 7, "results/": 7, "bakes/": 1}
    assert [rule["AbortIncompleteMultipartUpload"] for rule in rules if "Expiration" not in rule] == [
        {"DaysAfterInitiation": 1}
    ]
    assert set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    statement = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"][0]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


@pytest.mark.slow
def test_provision_reports_each_resource(prefix: str) -> None:
    lines = run("provision", "--prefix", prefix).splitlines()
    assert any(line.split() == [f"{prefix}-queue", "CREATE_COMPLETE", "JobsQueue", "AWS::SQS::Queue"] for line in lines)
    created = [f"{prefix}-{part}: created" for part in stacks.order()]
    assert [line for line in lines if ": created" in line] == created


def test_stacks_carry_our_tags(made: str) -> None:
    assert Service(made).stack("queue").tags == {"Project": made, "ManagedBy": "object-detection-service"}


@pytest.mark.slow
def test_second_run_changes_nothing(prefix: str) -> None:
    first = provision.deploy(Service(prefix))
    events: list[Event] = []
    second = provision.deploy(Service(prefix), report=events.append)
    assert set(first.values()) == {"created"}
    assert (set(second.values()), events) == ({"unchanged"}, [])
    assert aws.client("cloudformation").list_change_sets(StackName=f"{prefix}-queue")["Summaries"] == []


@pytest.mark.slow
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


@pytest.mark.slow
def test_warm_pool_goes_with_its_parameter(prefix: str) -> None:
    provision.deploy(Service(prefix), {"WarmMachines": "2"})
    group, autoscaling = {"AutoScalingGroupName": f"{prefix}-yolo5"}, aws.client("autoscaling")
    assert autoscaling.describe_warm_pool(**group)["WarmPoolConfiguration"]["MinSize"] == 0
    provision.deploy(Service(prefix), {"WarmMachines": "0"})
    assert "WarmPoolConfiguration" not in autoscaling.describe_warm_pool(**group)


@pytest.mark.slow
def test_emulated_group_runs_without_its_spot_share(prefix: str) -> None:
    provision.deploy(Service(prefix), {"SpotShare": "50"})
    assert asg.launch(cloudwatch.groups(f"{prefix}-yolo5")[f"{prefix}-yolo5"]).instance_type == "t3.micro"


@pytest.mark.slow
def test_missing_images_are_baked_once(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator can't bake, so this only registers an image."""

    def register(service: Service, where: BuilderPlace, what: ImageSpec, *_: object) -> None:
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


@pytest.mark.slow
def test_images_are_baked_again_on_request(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As above, by registering an image."""
    first = local_images.register(Service(prefix), "yolo5", "1.0")
    provision.deploy(Service(prefix))
    assert local_images.started(Service(prefix), "workers") == first

    def register(service: Service, where: BuilderPlace, what: ImageSpec, *_: object) -> None:
        local_images.register(service, what.role, "1.1")

    monkeypatch.setattr(bake, "bake", register)
    assert "yolo5 gets a new image" in run("provision", "--prefix", prefix, "--rebake", "yolo5")
    second = ami.of_role(Service(prefix), "yolo5")[0]
    assert second.version == "1.1"
    assert local_images.started(Service(prefix), "workers") == second.id


@pytest.mark.slow
def test_bake_is_not_retried_forever(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latest, "_any", lambda: None)
    monkeypatch.setattr(bake, "bake", lambda *arguments: None)
    with pytest.raises(CommandError, match=rf"no image of polybot.*bake_ami polybot --prefix {prefix}"):
        run("provision", "--prefix", prefix)


@pytest.mark.slow
def test_taken_name_is_reported_with_advice(prefix: str) -> None:
    bucket = f"{prefix}-images-{emulators.account()}-us-east-1"
    aws.client("s3").create_bucket(Bucket=bucket)
    for _ in ("the first run", "another"):
        with pytest.raises(
            CommandError, match=r"ImagesBucket: .*already exists.* Something else has this name\. Choose"
        ):
            run("provision", "--prefix", prefix)
    aws.client("s3").delete_bucket(Bucket=bucket)
    assert provision.deploy(Service(prefix))[f"{prefix}-storage"] == "created"


def test_new_service_finds_roles_of_aws_made(prefix: str) -> None:
    said: list[str] = []
    for _ in range(2):
        provision.deploy(Service(prefix), say=said.append)
        paths = {one["Path"] for one in aws.client("iam").list_roles()["Roles"]}
        assert {f"/aws-service-role/{name}.amazonaws.com/" for name in ("autoscaling", "elasticloadbalancing")} <= paths
    assert [one for one in said if "lack" in one] == []
