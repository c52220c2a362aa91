"""`teardown` of the stacks and of what isn't in a stack: webhook, certificate, DNS record, images, log groups."""

import io

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from botsite import aws
from deploy import provision, stacks, teardown
from deploy.certificates import acm, validation
from deploy.cfn import cloudformation
from deploy.images import ami
from deploy.local.telegram.client import TelegramControl, TelegramUser
from deploy.service import Service
from deploy.webhook import bot, registration
from tests.support import emulators, provisioning
from tests.support.cases import slow_after
from tests.support.deployed import statuses
from tests.support.emulators import TOKEN
from tests.support.processes import free_port
from tests.support.provisioning import Terminal

pytestmark = pytest.mark.usefixtures("control")


def run(command: str, prefix: str, *arguments: str) -> str:
    """Run a command, which may delete, and return what it printed."""
    agreed = ["--yes"] if command == "teardown" else []
    return provisioning.run(command, "--prefix", prefix, *agreed, *arguments)


def with_webhook(prefix: str, *way: str) -> None:
    """Provision a service with a webhook."""
    run("provision", prefix, *way)
    bot.store(Service(prefix), TOKEN)
    bot.connect(Service(prefix), print)


def records(zone: str) -> set[str]:
    """Return the names of a zone's A and CNAME records."""
    found = aws.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return {one["Name"] for one in found if one["Type"] in ("A", "CNAME")}


def test_teardown_deletes_everything_and_can_be_repeated(prefix: str) -> None:
    provision.deploy(Service(prefix))
    aws.client("s3").put_object(Bucket=f"{prefix}-images-{emulators.account()}-us-east-1", Key="photos/1", Body=b"x")
    gone = ", ".join(f"{prefix}-{part}" for part in reversed(stacks.order()))
    assert f"Deleted: {gone}" in run("teardown", prefix)
    assert statuses(prefix) == {}
    assert aws.client("sqs").list_queues(QueueNamePrefix=f"{prefix}-").get("QueueUrls", []) == []
    assert f"{prefix}-predictions" not in aws.client("dynamodb").list_tables()["TableNames"]
    assert all(not one["Name"].startswith(f"{prefix}-") for one in aws.client("s3").list_buckets()["Buckets"])
    nothing = f"Nothing to delete for prefix {prefix}.\nNothing tagged {prefix} is left.\n"
    assert run("teardown", prefix).partition("\n")[2] == nothing


@pytest.mark.slow
def test_teardown_reports_tagged_resources_outside_stacks(prefix: str) -> None:
    provision.deploy(Service(prefix))
    aws.client("sqs").create_queue(QueueName=f"{prefix}-old", tags=Service(prefix).tags())
    with pytest.raises(
        CommandError, match=rf"delete them by hand:\n  arn:aws:sqs:us-east-1:{emulators.account()}:{prefix}-old$"
    ):
        run("teardown", prefix)
    assert statuses(prefix) == {}


def test_teardown_empties_bucket_before_deleting_its_stack(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS, unlike the emulator, refuses to delete a bucket that isn't empty."""
    provision.deploy(Service(prefix))
    s3, bucket = aws.client("s3"), f"{prefix}-images-{emulators.account()}-us-east-1"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"first", b"second"):
        s3.put_object(Bucket=bucket, Key="photos/1", Body=body)
    left = {}
    monkeypatch.setattr(
        cloudformation,
        "delete",
        lambda stack, report: left.update({stack.name: s3.list_object_versions(Bucket=bucket)}),
    )
    stacks.delete(Service(prefix))
    full = [name for name, found in left.items() if "Versions" in found or "DeleteMarkers" in found]
    assert full == [name for name in left if name not in (f"{prefix}-storage", f"{prefix}-network")]


def test_teardown_lifts_protection_just_before_its_stack_goes(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS, unlike the emulator, leaves a protected table alone even if its stack is deleted."""
    provision.deploy(Service(prefix))
    protected = {}

    def look(stack: cloudformation.Stack, report: object) -> None:
        table = aws.client("dynamodb").describe_table(TableName=f"{prefix}-predictions")["Table"]
        now = Service(prefix).stack("storage").protected
        protected[stack.name.removeprefix(f"{prefix}-")] = (table["DeletionProtectionEnabled"], now)

    monkeypatch.setattr(cloudformation, "delete", look)
    stacks.delete(Service(prefix))
    lifted = ("storage", "network")
    assert protected == {part: (part not in lifted, part not in lifted) for part in stacks.order()}


def test_unconfirmed_teardown_lifts_no_protection(prefix: str) -> None:
    provision.deploy(Service(prefix))
    with pytest.raises(CommandError, match="Nothing was deleted"):
        call_command("teardown", "--prefix", prefix, stdout=io.StringIO())
    assert Service(prefix).stack("storage").protected


def test_teardown_continues_if_bucket_is_gone(prefix: str) -> None:
    provision.deploy(Service(prefix))
    aws.client("s3").delete_bucket(Bucket=f"{prefix}-images-{emulators.account()}-us-east-1")
    assert stacks.delete(Service(prefix)) == [f"{prefix}-{part}" for part in reversed(stacks.order())]


def test_teardown_plan_deletes_nothing(prefix: str) -> None:
    provision.deploy(Service(prefix))
    rows = [line.split() for line in run("teardown", prefix, "--plan").splitlines()]
    assert [f"{prefix}-storage", "Remove", "ImagesBucket", "AWS::S3::Bucket", "-"] in rows
    assert set(statuses(prefix).values()) == {"CREATE_COMPLETE"}


@pytest.mark.parametrize("output", slow_after(1, [Terminal, io.StringIO]), ids=["terminal", "tee"])
def test_teardown_asks_wherever_its_output_goes(
    prefix: str, monkeypatch: pytest.MonkeyPatch, output: type[io.StringIO]
) -> None:
    provision.deploy(Service(prefix))
    monkeypatch.setattr("sys.stdin", Terminal(f"no\n{prefix}\n"))
    with pytest.raises(CommandError, match="Nothing was deleted"):
        call_command("teardown", "--prefix", prefix, stdout=output())
    assert len(statuses(prefix)) == len(stacks.order())
    call_command("teardown", "--prefix", prefix, stdout=output())
    assert statuses(prefix) == {}


@pytest.mark.parametrize("output", [Terminal, io.StringIO])
def test_teardown_refuses_without_terminal(prefix: str, output: type[io.StringIO]) -> None:
    provision.deploy(Service(prefix))
    with pytest.raises(CommandError, match=r"Nothing was deleted: there is no terminal .* add --yes"):
        call_command("teardown", "--prefix", prefix, stdout=output())
    assert len(statuses(prefix)) == len(stacks.order())


def test_teardown_shows_stored_data(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    provision.deploy(Service(prefix))
    fill(prefix)
    monkeypatch.setattr("sys.stdin", Terminal("no\n"))
    monkeypatch.setattr(teardown, "_MANY", 2)
    printed = io.StringIO()
    with pytest.raises(CommandError, match="Nothing was deleted"):
        call_command("teardown", "--prefix", prefix, stdout=printed)
    assert "photos and results: more than 2\npredictions: about 1\ndead letters: 1\n" in printed.getvalue()


def test_deleted_stores_are_not_counted(prefix: str) -> None:
    provision.deploy(Service(prefix))
    fill(prefix)
    stacks.lift_protection(Service(prefix).stack("storage"))
    aws.client("dynamodb").delete_table(TableName=f"{prefix}-predictions")
    assert teardown.stored(Service(prefix)) == ["photos and results: 3", "dead letters: 1"]
    stacks.delete(Service(prefix))
    assert teardown.stored(Service(prefix)) == []


def fill(prefix: str) -> None:
    """Store three objects, a prediction and a dead letter."""
    bucket = f"{prefix}-images-{emulators.account()}-us-east-1"
    for number in range(3):
        aws.client("s3").put_object(Bucket=bucket, Key=f"photos/{number}", Body=b"x")
    aws.dynamodb().put_item(TableName=f"{prefix}-predictions", Item={"prediction_id": "1"})
    url = Service(prefix).stack("queue").outputs["JobsDlqUrl"]
    aws.client("sqs").send_message(QueueUrl=url, MessageBody="x")


def test_teardown_removes_webhook_and_keeps_pending_updates(
    prefix: str, control: TelegramControl, telegram: str
) -> None:
    with_webhook(prefix, "--self-signed")
    TelegramUser(telegram, 7).send_text("hello")
    assert "The webhook is removed" in run("teardown", prefix)
    assert (control.webhook()["url"], control.webhook()["pending_update_count"]) == ("", 1)


def test_webhook_of_another_service_is_kept(prefix: str, control: TelegramControl) -> None:
    with_webhook(prefix, "--self-signed")
    other = "https://bot.example.org/telegram/webhook"
    registration.register(other, TOKEN, "secret")
    assert "webhook is removed" not in run("teardown", prefix)
    assert control.webhook()["url"] == other


def test_unreachable_telegram_does_not_stop_teardown(
    prefix: str, control: TelegramControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_webhook(prefix, "--self-signed")
    monkeypatch.setattr(settings, "TELEGRAM_API_URL", f"http://127.0.0.1:{free_port()}")
    printed = run("teardown", prefix)
    assert "Telegram still has the webhook" in printed
    assert f"Nothing tagged {prefix} is left." in printed


@pytest.mark.slow
def test_teardown_removes_dns_records(prefix: str, zone: str) -> None:
    before = records(zone)
    with_webhook(prefix, "--domain", f"{prefix}.example.com", "--hosted-zone-id", zone)
    new = records(zone) - before
    assert (len(new), f"{prefix}.example.com." in new) == (2, True)
    assert "AWS::Route53::RecordSet" in run("teardown", prefix, "--plan", "--records")
    run("teardown", prefix, "--records")
    assert records(zone) == before
    assert list(acm.ours(Service(prefix), "AMAZON_ISSUED")) == []


@pytest.mark.slow
def test_validation_record_stays_unless_asked_for(prefix: str, zone: str) -> None:
    """A certificate in another region may be validated by the same record, which nobody can see."""
    with_webhook(prefix, "--domain", f"{prefix}.example.com", "--hosted-zone-id", zone)
    (record,) = teardown.records(Service(prefix))
    stays = f"The DNS record {record} stays, as certificates elsewhere may be validated by it: --records deletes it."
    planned = run("teardown", prefix, "--plan")
    assert (stays in planned, f"Remove  {record}" in planned) == (True, False)
    assert stays in run("teardown", prefix)
    assert record in records(zone)


def test_restored_copies_are_deleted_with_the_service(prefix: str) -> None:
    dynamodb = aws.client("dynamodb")
    for name in (f"{prefix}-predictions-restored", f"{prefix}-predictions-restored-2", f"{prefix}-predictions-mine"):
        dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "prediction_id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "prediction_id", "AttributeType": "S"}],
        )
    planned = run("teardown", prefix, "--plan")
    assert (planned.count(f"{prefix}-predictions-restored"), f"{prefix}-predictions-mine" in planned) == (2, False)
    run("teardown", prefix)
    left = [name for name in dynamodb.list_tables()["TableNames"] if name.startswith(f"{prefix}-")]
    assert left == [f"{prefix}-predictions-mine"]


def test_existing_dns_record_is_kept(prefix: str, zone: str) -> None:
    name = f"{prefix}.example.com"
    theirs = aws.client("acm").request_certificate(DomainName=name, ValidationMethod="DNS")["CertificateArn"]
    state = aws.client("acm").describe_certificate(CertificateArn=theirs)["Certificate"]
    record = validation.record(state)
    assert record
    validation.put(theirs, zone, record)
    run("provision", prefix, "--domain", name, "--hosted-zone-id", zone)
    run("teardown", prefix)
    assert record["Name"] in records(zone)


@pytest.mark.slow
def test_teardown_removes_images_snapshots_and_log_groups(prefix: str) -> None:
    run("provision", prefix)
    leave(prefix)
    assert {"AWS::EC2::Image"} <= {one.type for one in teardown.plan(Service(prefix), records=False)}
    assert f"Nothing tagged {prefix} is left." in run("teardown", prefix)
    assert (ami.all_of(Service(prefix)), list(teardown.log_groups(Service(prefix)))) == ([], [])


def leave(prefix: str) -> None:
    """Create an image and a log group outside the stacks."""
    marks = [{"ResourceType": "image", "Tags": Service(prefix).tag_list(Role="yolo5")}]
    aws.client("ec2").register_image(Name=f"{prefix}-yolo5-1", TagSpecifications=marks)
    aws.client("logs").create_log_group(logGroupName=f"/{prefix}/old", tags=Service(prefix).tags())


def test_leftovers_are_found_by_tags(prefix: str) -> None:
    leave(prefix)
    arn = acm.ensure_self_signed(Service(prefix), "bot.example.com")
    kinds = sorted(one.split(":")[2] for one in teardown.leftovers(Service(prefix)))
    assert (kinds, arn in teardown.leftovers(Service(prefix))) == (["acm", "ec2", "logs"], True)


def test_foreign_resources_are_kept(prefix: str) -> None:
    aws.client("logs").create_log_group(logGroupName=f"/{prefix}/theirs")
    aws.client("ec2").register_image(Name=f"{prefix}-theirs")
    run("teardown", prefix)
    groups = aws.client("logs").describe_log_groups(logGroupNamePrefix=f"/{prefix}/")["logGroups"]
    images = aws.client("ec2").describe_images(Owners=["self"])["Images"]
    assert [one["logGroupName"] for one in groups] == [f"/{prefix}/theirs"]
    assert f"{prefix}-theirs" in [one["Name"] for one in images]


@pytest.mark.slow
def test_interrupted_teardown_is_resumed(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run("provision", prefix, "--self-signed")
    with monkeypatch.context() as patch:
        patch.setattr(acm, "delete", interrupt)
        with pytest.raises(CommandError, match="Interrupted"):
            run("teardown", prefix)
    assert stacks.deletions(Service(prefix)) == []
    assert f"Nothing tagged {prefix} is left." in run("teardown", prefix)


def interrupt(service: Service) -> list[str]:
    """Be interrupted."""
    raise KeyboardInterrupt
