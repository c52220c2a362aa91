"""`provision` rejects wrong options and parameters before it changes anything."""

import pytest
from django.core.management import CommandError

from botsite import aws
from deploy.certificates import domains
from deploy.cfn import cloudformation
from deploy.service import Service
from tests.support.provisioning import run, run_provision

pytestmark = pytest.mark.usefixtures("control")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--domain", "bot.example.com"], "--domain and --hosted-zone-id go together"),
        (["--hosted-zone-id", "Z1"], "--domain and --hosted-zone-id go together"),
        (["--self-signed", "--domain", "bot.example.com", "--hosted-zone-id", "Z1"], "choose one"),
        (["--self-signed", "--parameter", "CertificateArn="], "--domain and --self-signed set CertificateArn"),
        (["--domain", "bot.example.com", "--hosted-zone-id", "ZNONE"], "has no hosted zone ZNONE"),
        (["--parameter", "MaxWorkers=many"], "MaxWorkers can't be 'many': it has to be a number from 1 to 1000"),
        (["--parameter", "MaxWorkers=0"], "a number from 1 to 1000"),
        (["--parameter", "WarmMachines=5"], "WarmMachines=5 is more than MaxWorkers=4"),
        (
            ["--parameter", "WarmMachines=1", "--parameter", "SpotShare=50"],
            "exclude each other: a Spot instance can't be",
        ),
        (["--parameter", "StandbyWorker=maybe"], "StandbyWorker can't be 'maybe': it has to be one of off, on"),
        (
            ["--parameter", "StandbyWorker=on", "--parameter", "WorkerType=c7i.xlarge"],
            "MetricsType=t3.micro is slower than WorkerType=c7i.xlarge",
        ),
        (
            ["--parameter", "StandbyWorker=on", "--parameter", "MetricsType=t3.nano"],
            "needs 1 GiB of memory: MetricsType=t3.nano has half of it",
        ),
        (["--parameter", "SpotShare=55"], "SpotShare can't be '55': it has to be one of 0, 10, 20"),
        (["--parameter", "KeptDays=8"], "KeptDays can't be '8': it has to be one of 5, 7, 14"),
        (["--parameter", "OperatorCidr=here"], "an IPv4 CIDR block such as"),
        (["--parameter", "OperatorCidr=999.2.3.4/32"], "an IPv4 CIDR block such as"),
        (["--parameter", "OperatorCidr=0.0.0.0/0"], "add --open-admin"),
        (["--parameter", "OperatorCidr=::/0"], "an IPv4 CIDR block such as"),
        (["--parameter", "Yolo5ImageId=mine"], "the id of an AMI"),
    ],
)
def test_invalid_input_is_rejected_before_any_change(prefix: str, arguments: list[str], reason: str) -> None:
    for more in ([], ["--plan"]):
        with pytest.raises(CommandError, match=reason):
            run_provision(prefix, *arguments, *more)
    assert cloudformation.describe(f"{prefix}-network") is None


@pytest.mark.parametrize(
    ("cidr", "reason"), [("999.2.3.4/32", "an IPv4 CIDR block such as"), ("0.0.0.0/0", "add --open-admin")]
)
def test_check_begins_with_the_operators_addresses(prefix: str, cidr: str, reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        run_provision(prefix, "--check", "--parameter", f"OperatorCidr={cidr}")


def test_domain_outside_its_zone_is_rejected_before_any_change(prefix: str, zone: str) -> None:
    for more in ([], ["--plan"]):
        with pytest.raises(CommandError, match=r"bot\.example\.org is not in the hosted zone"):
            run_provision(prefix, "--domain", "bot.example.org", "--hosted-zone-id", zone, *more)
    assert cloudformation.describe(f"{prefix}-network") is None


def test_foreign_stack_is_found_before_certificate_request(prefix: str, zone: str) -> None:
    topic = '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}'
    aws.client("cloudformation").create_stack(StackName=f"{prefix}-web", TemplateBody=topic)
    with pytest.raises(CommandError, match=f"{prefix}-web was not made by"):
        run_provision(prefix, "--domain", "bot.example.com", "--hosted-zone-id", zone)
    assert domains.found(Service(prefix), "bot.example.com") == ""


@pytest.mark.parametrize("prefix", ["Objdet", "ab", "1abc", "a_b", "a" * 21, "a b", "abc-"])
def test_invalid_prefix_is_rejected(prefix: str) -> None:
    for command in ("provision", "stack_env", "teardown"):
        with pytest.raises(CommandError, match="3 to 20 lower-case letters"):
            run(command, "--prefix", prefix)
