"""Teardown believes the service that owns a resource, not the tagging API, which lists what is gone for an hour."""

import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from django.core.management import CommandError

from deploy import provision, stacks, teardown
from deploy.certificates import acm
from deploy.cfn import existence
from deploy.service import Service
from tests.support import arns, emulators, recorded_aws
from tests.support.provisioning import run
from tests.support.recorded_aws import Answer, Cloud

ACCOUNT = "us-east-1:123456789012"
INSTANCE = f"arn:aws:ec2:{ACCOUNT}:instance/i-0123456789abcdef0"
VOLUME = f"arn:aws:ec2:{ACCOUNT}:volume/vol-0123456789abcdef0"
BALANCER = "app/gone-balancer/50dc6c495c0c9188"
LISTENER = f"arn:aws:elasticloadbalancing:{ACCOUNT}:listener/{BALANCER}/f2f7dc8efc522ab2"
RULE = f"arn:aws:elasticloadbalancing:{ACCOUNT}:listener-rule/{BALANCER}/f2f7dc8efc522ab2/9683b2d02a6cabee"
# An hour after a teardown: boto3 1704 and 3341 (instances), aws-cli 4173 (volumes), aws-sdk 676 (listeners, rules).
LISTED = (INSTANCE, VOLUME, LISTENER, RULE)
EC2 = 'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"'
ELB = 'xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"'


def listing(*arns: str) -> Answer:
    """Return GetResources' answer (API_GetResources of the Resource Groups Tagging API)."""
    tags = [{"Key": "Project", "Value": "gone"}, {"Key": "ManagedBy", "Value": "provision"}]
    found = [{"ResourceARN": arn, "Tags": tags} for arn in arns]
    return Answer(json.dumps({"PaginationToken": "", "ResourceTagMappingList": found}))


def instance(state: str) -> Answer:
    """Return DescribeInstances' answer: EC2 has a terminated instance for about an hour (EC2 guide, Terminate)."""
    one = f"<instanceId>{INSTANCE[-19:]}</instanceId><instanceState><code>48</code><name>{state}</name></instanceState>"
    return Answer(
        f"<DescribeInstancesResponse {EC2}><requestId>1</requestId><reservationSet><item><instancesSet><item>{one}"
        "</item></instancesSet></item></reservationSet></DescribeInstancesResponse>"
    )


def elb_error(code: str) -> Answer:
    """Return an error of Elastic Load Balancing (API_DescribeListeners, API_DescribeRules)."""
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>One or more not found</Message></Error>"
    return Answer(f"<ErrorResponse {ELB}>{error}<RequestId>1</RequestId></ErrorResponse>", 400)


# The message is in EC2's list of error codes.
NO_VOLUME = Answer(
    "<Response><Errors><Error><Code>InvalidVolume.NotFound</Code><Message>The volume 'vol-0123456789abcdef0' does not "
    "exist.</Message></Error></Errors><RequestID>1</RequestID></Response>",
    400,
)


@pytest.fixture(scope="module")
def local() -> Iterator[str]:
    """An emulator for what is not recorded."""
    with emulators.ministack() as url:
        yield url


@pytest.fixture
def hour_later(local: str) -> Iterator[Cloud]:
    """AWS an hour after a teardown."""
    answers = {
        "GetResources": listing(*LISTED),
        "Action=DescribeInstances&Version=2016-11-15&InstanceId": instance("terminated"),
        "DescribeVolumes": NO_VOLUME,
        "DescribeListeners": elb_error("ListenerNotFound"),
        "DescribeRules": elb_error("RuleNotFound"),
    }
    with recorded_aws.taken_for_aws(Cloud(local, local, answers)) as cloud:
        yield cloud


def test_teardown_ends_well_while_gone_things_are_listed(hour_later: Cloud) -> None:
    assert teardown._tagged(Service("gone")) == list(LISTED)
    assert "Nothing tagged gone is left." in run("teardown", "--prefix", "gone", "--yes")


def test_only_existing_resources_are_reported(hour_later: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    hour_later.answers["Action=DescribeInstances&Version=2016-11-15&InstanceId"] = instance("stopped")
    monkeypatch.setattr(teardown, "_ENDING_SECONDS", 0)
    with pytest.raises(CommandError, match=rf"delete them by hand:\n  {INSTANCE}$"):
        run("teardown", "--prefix", "gone", "--yes")


def test_unknown_kind_of_resource_is_reported(hour_later: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = f"arn:aws:kinesis:{ACCOUNT}:stream/somebodys"
    hour_later.answers["GetResources"] = listing(*LISTED, unknown)
    monkeypatch.setattr(teardown, "_ENDING_SECONDS", 0)
    assert teardown.leftovers(Service("gone")) == [unknown]


def test_refused_question_is_no_answer(hour_later: Cloud) -> None:
    hour_later.answers["DescribeVolumes"] = Answer(
        NO_VOLUME.body.replace("InvalidVolume.NotFound", "UnauthorizedOperation").replace("does not exist", "no"), 403
    )
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        existence.alive(VOLUME)


@pytest.mark.slow
def test_every_kind_of_the_service_is_asked_about(local: str) -> None:
    service = Service("kinds")
    with emulators.taken_for_aws(local):
        provision.deploy(service)
        there = [*arns.of(service), acm.ensure_self_signed(service, "bot.example.com")]
        assert {*teardown._tagged(service)} <= {*there}
        assert [arn for arn in there if existence._asking(arn) is None] == []
        assert [arn for arn in there if not existence.alive(arn)] == []
        stacks.delete(service)
        acm.delete(service)
        assert [arn for arn in there if existence.alive(arn)] == []
