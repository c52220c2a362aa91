"""AWS that answers late, or not at all: commands wait for it, and nothing is made twice."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from botsite import aws
from deploy import patience
from deploy.certificates import acm, self_signed
from deploy.images import ami
from deploy.service import Service
from tests.support import emulators, recorded_aws
from tests.support.baking import stopped
from tests.support.recorded_aws import Answer, Cloud

NAME = "objdet-0123456789.us-east-1.elb.amazonaws.com"
UNAVAILABLE = Answer(
    "<Response><Errors><Error><Code>Unavailable</Code><Message>The service is unavailable.</Message></Error></Errors>"
    "<RequestID>1</RequestID></Response>",
    503,
)


@dataclass
class SlowCloud(Cloud):
    """An AWS that does what it is asked and keeps the answer to these requests back until `free`."""

    kept: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)
    free: threading.Event = field(default_factory=threading.Event)

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes, str]:
        said = f"{headers.get('X-Amz-Target', '')} {body.decode(errors='replace')}"
        found = super().answer(method, path, headers, body)
        if words := next((one for one in self.kept if one in said), ""):
            self.asked.append(words)
            assert self.free.wait(60)
        return found


@pytest.fixture(scope="module")
def emulator() -> Iterator[tuple[str, str]]:
    """Two emulators; that of EC2 makes images."""
    with emulators.moto() as ec2, emulators.ministack() as rest:
        yield rest, ec2


@pytest.fixture
def cloud(emulator: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowCloud]:
    """A slow AWS, and little patience with it."""
    monkeypatch.setattr(aws, "_CONFIG", aws._CONFIG.merge(Config(read_timeout=1)))
    monkeypatch.setattr(patience, "_LISTED_SECONDS", 0)
    cloud = SlowCloud(*emulator)
    with recorded_aws.taken_for_aws(cloud):
        yield cloud
        cloud.free.set()


@pytest.mark.slow
def test_control_plane_is_waited_for_longer_than_a_queue(cloud: SlowCloud) -> None:
    cloud.kept = ("Action=DescribeStacks", "AmazonSQS.ListQueues")
    with ThreadPoolExecutor(1) as pool:
        stacks = pool.submit(aws.client("cloudformation").describe_stacks)
        with pytest.raises(ReadTimeoutError):
            aws.client("sqs").list_queues()
        cloud.free.set()
        assert stacks.result()["Stacks"] == []
    assert cloud.asked.count("Action=DescribeStacks") == 1
    assert cloud.asked.count("AmazonSQS.ListQueues") == 3


@pytest.mark.slow
def test_control_plane_has_a_minute() -> None:
    seconds = {name: aws.client(name).meta.config.read_timeout for name in ("ec2", "acm", "iam", "elbv2", "sqs", "s3")}
    assert seconds == {"ec2": 60, "acm": 60, "iam": 60, "elbv2": 60, "sqs": 10, "s3": 10}
    assert aws.once("ec2").meta.config.retries["total_max_attempts"] == 1


@pytest.mark.slow
def test_image_is_made_once_although_its_answer_is_lost(cloud: SlowCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = stopped()
    monkeypatch.setattr(aws, "_CONTROL_SECONDS", 3)
    cloud.kept = ("Action=CreateImage",)
    made = ami.create(Service("slow"), "yolo5", "v1", instance, lambda text: None)
    assert cloud.asked == ["Action=CreateImage"]
    assert [one.id for one in ami.all_of(Service("slow"))] == [made.id]
    ami.remove(made)


@pytest.mark.slow
def test_certificate_is_imported_once_although_its_answer_is_lost(
    cloud: SlowCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws, "_CONTROL_SECONDS", 3)
    cloud.kept = ("CertificateManager.ImportCertificate",)
    arn = acm.ensure_self_signed(Service("slow"), NAME)
    assert cloud.asked == ["CertificateManager.ImportCertificate"]
    assert [one["CertificateArn"] for one in acm.ours(Service("slow"), "IMPORTED")] == [arn]
    assert self_signed.wrong(acm.pem(arn), NAME, datetime.now(UTC)) == ""


def test_call_is_repeated_if_nothing_was_made(cloud: SlowCloud) -> None:
    answers = iter((UNAVAILABLE, None))
    real = super(SlowCloud, cloud).answer

    def first_unavailable(method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes, str]:
        if b"Action=CreateImage" in body and (answer := next(answers)):
            return answer.status, answer.body.encode(), "text/xml"
        return real(method, path, headers, body)

    instance = stopped()
    cloud.answer = first_unavailable  # type: ignore[method-assign]
    ami.remove(ami.create(Service("again"), "yolo5", "v1", instance, lambda text: None))
    assert next(answers, "none left") == "none left"


def test_refusal_after_a_lost_answer_is_looked_into(cloud: SlowCloud) -> None:
    """EC2 refuses a second image of the same name (InvalidAMIName.Duplicate), which it may list only then."""
    refused = ClientError({"Error": {"Code": "InvalidAMIName.Duplicate"}}, "CreateImage")
    errors = iter((ReadTimeoutError(endpoint_url="https://ec2"), refused))
    listed = iter((None, "ami-1"))

    def call() -> str:
        raise next(errors)

    assert patience.make_once(call, lambda: next(listed)) == "ami-1"


def test_refused_call_is_not_repeated(cloud: SlowCloud) -> None:
    calls: list[str] = []

    def call() -> str:
        calls.append("x")
        return str(aws.once("ec2").create_image(InstanceId="i-0123456789abcdef0", Name="xyz")["ImageId"])

    with pytest.raises(ClientError, match="InvalidInstanceID"):
        patience.make_once(call, lambda: None)
    assert calls == ["x"]
