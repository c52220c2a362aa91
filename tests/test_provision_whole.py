"""What `provision` does beside its stacks: the certificate, the bot's token, machines of a new image."""

import base64
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from botsite import aws
from deploy import ami, certificates, recipe, self_signed, stacks, tags
from tests import emulators
from tests.processes import free_port, listening, start, wait_until

TOKEN = "123456789:a-token-of-the-fake-telegram"
_numbers = count(1)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An emulated AWS of this module's own."""
    with emulators.ministack() as url:
        yield url


@pytest.fixture(scope="module")
def telegram(endpoint: str) -> Iterator[None]:
    """A fake Telegram that knows one token."""
    port = free_port()
    with (
        start([sys.executable, "-m", "deploy.local.telegram", "--port", str(port)], {"TELEGRAM_TOKEN": TOKEN}),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(settings, "TELEGRAM_API_URL", f"http://127.0.0.1:{port}")
        wait_until(lambda: listening(port))
        yield


@pytest.fixture
def prefix(endpoint: str) -> str:
    """A prefix of the test's own."""
    return f"whole-{next(_numbers)}"


@pytest.fixture
def zone(endpoint: str) -> str:
    """The id of a hosted zone of example.com."""
    zone = aws.client("route53").create_hosted_zone(Name="example.com", CallerReference=str(next(_numbers)))
    return str(zone["HostedZone"]["Id"]).rpartition("/")[2]


def run(*arguments: str, output: io.StringIO | None = None) -> str:
    """Run a command and return what it printed."""
    output = output or io.StringIO()
    call_command(*arguments, stdout=output)
    return output.getvalue()


def certificate(prefix: str) -> str:
    """Return the ARN of the certificate of the load balancer."""
    return stacks.existing(prefix, "web").parameters["CertificateArn"]


def ports(prefix: str) -> list[int]:
    """Return the ports on which the load balancer listens."""
    elb = aws.client("elbv2")
    arn = elb.describe_load_balancers(Names=[prefix])["LoadBalancers"][0]["LoadBalancerArn"]
    return sorted(one["Port"] for one in elb.describe_listeners(LoadBalancerArn=arn)["Listeners"])


def token(prefix: str) -> str:
    """Return what the token's secret holds."""
    return str(aws.client("secretsmanager").get_secret_value(SecretId=f"{prefix}/telegram-token")["SecretString"])


# ------------------------------------------------------------------------------------------ certificates


def test_a_self_signed_certificate_is_for_the_name_that_aws_gave_the_load_balancer(prefix: str) -> None:
    run("provision", "--prefix", prefix, "--self-signed")
    name = stacks.existing(prefix, "web").outputs["BalancerDnsName"]
    assert self_signed.wrong(certificates.pem(certificate(prefix)), name, datetime.now(UTC)) == ""
    assert ports(prefix) == [80, 443]


def test_a_second_run_makes_no_other_certificate_with_or_without_asking(prefix: str) -> None:
    run("provision", "--prefix", prefix, "--self-signed")
    first = certificates.pem(certificate(prefix))
    for again in (["--self-signed"], []):
        printed = run("provision", "--prefix", prefix, *again)
        assert f"{prefix}-web: unchanged" in printed
    assert certificates.pem(certificate(prefix)) == first


def test_a_certificate_that_ends_soon_is_renewed_by_the_same_command(prefix: str) -> None:
    run("provision", "--prefix", prefix, "--self-signed")
    arn, name = certificate(prefix), stacks.existing(prefix, "web").outputs["BalancerDnsName"]
    old = self_signed.make(name, datetime.now(UTC) - timedelta(days=350))
    aws.client("acm").import_certificate(CertificateArn=arn, Certificate=old.certificate, PrivateKey=old.key)
    run("provision", "--prefix", prefix)
    assert certificate(prefix) == arn
    soon = datetime.now(UTC) + timedelta(days=300)
    assert self_signed.wrong(certificates.pem(arn), name, soon) == ""


def test_a_domain_gets_a_public_certificate_and_a_record(prefix: str, zone: str) -> None:
    run("provision", "--prefix", prefix, "--domain", "bot.example.com", "--hosted-zone-id", zone)
    found = aws.client("acm").describe_certificate(CertificateArn=certificate(prefix))["Certificate"]
    assert (found["DomainName"], found["Type"]) == ("bot.example.com", "AMAZON_ISSUED")
    assert stacks.existing(prefix, "web").outputs["WebhookHost"] == "bot.example.com"
    assert ports(prefix) == [80, 443]


def test_a_domain_outside_of_its_zone_is_refused_before_anything_is_made(prefix: str, zone: str) -> None:
    for more in ([], ["--plan"]):
        with pytest.raises(CommandError, match=r"bot\.example\.org is not in the hosted zone"):
            run("provision", "--prefix", prefix, "--domain", "bot.example.org", "--hosted-zone-id", zone, *more)
    with pytest.raises(stacks.StackError, match="no stack"):
        stacks.existing(prefix, "network")


@pytest.mark.parametrize("given", [("--domain", "bot.example.com"), ("--hosted-zone-id", "Z1")])
def test_a_domain_without_a_zone_is_refused_and_the_other_way_round(prefix: str, given: tuple[str, str]) -> None:
    with pytest.raises(CommandError, match="go together"):
        run("provision", "--prefix", prefix, *given)


def test_a_plan_lists_what_a_certificate_brings_and_makes_none(prefix: str) -> None:
    printed = run("provision", "--prefix", prefix, "--plan", "--self-signed")
    assert "HttpsListener" in printed
    assert "HttpsListener" not in run("provision", "--prefix", prefix, "--plan")
    assert list(certificates.ours(prefix, "IMPORTED")) == []


# ------------------------------------------------------------------------------------------------- token


def give(prefix: str, text: str) -> str:
    """Provision with a token on a file descriptor."""
    with tempfile.TemporaryFile("w+") as file:
        file.write(text)
        file.seek(0)
        return run("provision", "--prefix", prefix, "--token-fd", str(os.dup(file.fileno())))


@pytest.mark.usefixtures("telegram")
def test_a_token_from_a_file_descriptor_is_stored_and_not_printed(prefix: str) -> None:
    printed = give(prefix, f"{TOKEN}\n")
    assert token(prefix) == TOKEN
    assert "The token of @" in printed
    assert TOKEN not in printed
    assert "no token yet" not in run("provision", "--prefix", prefix)


@pytest.mark.usefixtures("telegram")
@pytest.mark.parametrize("text", ["123456789:a-token-of-nobody-at-all", "hunter2"])
def test_a_token_that_telegram_refuses_is_not_stored(prefix: str, text: str) -> None:
    with pytest.raises(CommandError, match=r"The token is not stored\. .*@BotFather") as error:
        give(prefix, text)
    assert text not in str(error.value)
    assert "The bot has no token yet" in run("provision", "--prefix", prefix)


@pytest.mark.usefixtures("telegram")
def test_no_secret_is_anywhere_but_in_secrets_manager(prefix: str) -> None:
    give(prefix, TOKEN)
    hidden = secrets(prefix)
    assert len(hidden) == 5
    assert TOKEN in hidden
    public = told(prefix)
    assert f"{prefix}/results-key" in public
    assert [value for value in hidden if value in public] == []


def secrets(prefix: str) -> list[str]:
    """Return what the secrets of the prefix hold."""
    manager = aws.client("secretsmanager")
    names = [one["Name"] for one in manager.list_secrets()["SecretList"] if one["Name"].startswith(f"{prefix}/")]
    texts = [manager.get_secret_value(SecretId=name)["SecretString"] for name in names]
    return [value for text in texts for value in (json.loads(text).values() if text.startswith("{") else [text])]


def told(prefix: str) -> str:
    """Return what everybody may read who can describe stacks and launch templates."""
    cloudformation, ec2, found = aws.client("cloudformation"), aws.client("ec2"), []
    for name in [stacks.name(prefix, part) for part in stacks.ORDER]:
        found.append(cloudformation.describe_stacks(StackName=name)["Stacks"])
        found.append(cloudformation.get_template(StackName=name)["TemplateBody"])
        found.append(cloudformation.describe_stack_events(StackName=name)["StackEvents"])
    for role in ("polybot", "yolo5", "metrics"):
        versions = ec2.describe_launch_template_versions(LaunchTemplateName=f"{prefix}-{role}")
        data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        found.append([data, base64.b64decode(data["UserData"])])
    return str(found)


def test_a_descriptor_that_is_not_open_is_named(prefix: str) -> None:
    with pytest.raises(CommandError, match="--token-fd 999: Bad file descriptor"):
        run("provision", "--prefix", prefix, "--token-fd", "999")


class Terminal(io.StringIO):
    """An output at which a person sits."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.mark.usefixtures("telegram")
def test_on_a_terminal_the_token_is_asked_for_once_without_an_echo(
    prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("getpass.getpass", lambda question: asked.append(question) or TOKEN)
    for _ in range(2):
        assert TOKEN not in run("provision", "--prefix", prefix, output=Terminal())
    assert (len(asked), token(prefix)) == (1, TOKEN)


# ---------------------------------------------------------------------------------------------- machines


def test_machines_of_an_older_image_are_replaced(prefix: str) -> None:
    run("provision", "--prefix", prefix)
    scaling = aws.client("autoscaling")
    scaling.set_desired_capacity(AutoScalingGroupName=f"{prefix}-polybot", DesiredCapacity=2)
    other = aws.client("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    printed = run("provision", "--prefix", prefix, "--parameter", f"PolybotImageId={other}")
    assert f"{prefix}-polybot replaces 2 machines" in printed
    refreshes = scaling.describe_instance_refreshes(AutoScalingGroupName=f"{prefix}-polybot")["InstanceRefreshes"]
    assert len(refreshes) == 1


def test_teardown_takes_the_images_and_the_certificate_along(prefix: str) -> None:
    run("provision", "--prefix", prefix, "--self-signed")
    marks: list[Any] = [{"ResourceType": "image", "Tags": tags.listed(prefix, Role="yolo5")}]
    aws.client("ec2").register_image(Name=f"{prefix}-yolo5-1", TagSpecifications=marks)
    planned = run("teardown", "--prefix", prefix, "--plan")
    assert f"{prefix}-yolo5-1" in planned
    assert "AWS::CertificateManager::Certificate" in planned
    assert f"Nothing is left that carries the tags of {prefix}." in run("teardown", "--prefix", prefix)
    assert [image for role in recipe.ROLES for image in ami.of_role(prefix, role)] == []
    assert list(certificates.ours(prefix, "IMPORTED")) == []
