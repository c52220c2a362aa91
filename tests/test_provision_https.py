"""`provision` from nothing to a bot with a webhook, on an emulated AWS and a fake Telegram."""

import base64
import io
import itertools
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from botsite import aws
from deploy import stacks
from deploy.certificates import acm, domains, self_signed, validation
from deploy.cfn import cloudformation
from deploy.images import rollout
from deploy.local.telegram.client import TelegramControl
from deploy.service import Service
from deploy.webhook import bot, registration
from tests.support import emulators

pytestmark = pytest.mark.long

TOKEN = "123456:not-a-real-token"
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def telegram() -> Iterator[str]:
    """The address of a fake Telegram for this module."""
    with emulators.telegram(TOKEN) as url:
        yield url


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    """An emulated AWS for this module."""
    with emulators.ministack() as url:
        yield url


@pytest.fixture
def control(telegram: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TelegramControl]:
    """A Telegram without a webhook, and an operator whose environment names another bot."""
    monkeypatch.setattr(settings, "TELEGRAM_API_URL", telegram)
    monkeypatch.setattr(settings, "TELEGRAM_TOKEN", "999:another-bot-of-the-operator")
    monkeypatch.setattr(settings, "TELEGRAM_WEBHOOK_SECRET", "another-secret")
    yield TelegramControl(telegram)
    TelegramControl(telegram).reset(setup=True)


@pytest.fixture
def prefix(cloud: str, control: TelegramControl) -> str:
    """A prefix for this test: tests share the emulators, but nothing in them."""
    return f"try-{next(numbers)}"


@pytest.fixture(scope="module")
def zone(cloud: str) -> str:
    """The id of a public hosted zone of example.com."""
    made = aws.client("route53").create_hosted_zone(Name="example.com", CallerReference="a")["HostedZone"]
    return str(made["Id"]).removeprefix("/hostedzone/")


class Terminal(io.StringIO):
    """An output that is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def provision(prefix: str, *arguments: str, token: str = "", output: io.StringIO | None = None) -> list[str]:
    """Run the command, with a token in a file descriptor if there is one, and return the lines it printed."""
    output = output or io.StringIO()
    given = ["--token-fd", str(descriptor(token))] if token else []
    call_command("provision", "--prefix", prefix, *arguments, *given, stdout=output)
    return output.getvalue().splitlines()


def descriptor(text: str) -> int:
    """Return a file descriptor with this text; the reader closes it."""
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    return reading


def web(prefix: str) -> cloudformation.Stack:
    """Return the stack of the sites."""
    return Service(prefix).stack("web")


def stored(prefix: str) -> str:
    """Return the stored token."""
    return str(aws.client("secretsmanager").get_secret_value(SecretId=f"{prefix}/telegram-token")["SecretString"])


def typed(monkeypatch: pytest.MonkeyPatch, *texts: str) -> None:
    """Answer the prompts for secrets."""
    answers = iter(texts)
    monkeypatch.setattr("getpass.getpass", lambda question: next(answers))


# -------------------------------------------------------------------------------- from nothing to a bot


def test_one_command_makes_reachable_service(prefix: str, control: TelegramControl) -> None:
    lines = provision(prefix, "--self-signed", token=TOKEN)
    url = f"https://{web(prefix).outputs['BalancerDnsName']}/telegram/webhook"
    info = control.webhook()
    assert (info["url"], info["has_custom_certificate"]) == (url, True)
    pem = acm.pem(web(prefix).parameters["CertificateArn"])
    assert self_signed.wrong(pem, web(prefix).outputs["BalancerDnsName"], datetime.now(UTC)) == ""
    assert stored(prefix) == TOKEN
    assert f"webhook: {url}" in lines
    assert any(f"{prefix}/admin-password" in line for line in lines)
    assert lines[-1].startswith(f"Next: run python manage.py doctor --prefix {prefix}")
    assert TOKEN not in "\n".join(lines)


def test_second_run_changes_nothing(prefix: str, control: TelegramControl) -> None:
    first = provision(prefix, "--self-signed", token=TOKEN)
    before = (web(prefix), acm.pem(web(prefix).parameters["CertificateArn"]), control.webhook())
    second = provision(prefix, "--self-signed", token=TOKEN)
    assert (web(prefix), acm.pem(web(prefix).parameters["CertificateArn"]), control.webhook()) == before
    assert [line for line in second if ": unchanged" in line] == [
        f"{prefix}-{part}: unchanged" for part in stacks.ORDER
    ]
    assert [line for line in first if ": created" in line] == [f"{prefix}-{part}: created" for part in stacks.ORDER]
    assert "The stored bot token is unchanged." in second


def test_domain_gets_public_certificate(prefix: str, control: TelegramControl, zone: str) -> None:
    provision(prefix, "--domain", "Bot.Example.com", "--hosted-zone-id", f"/hostedzone/{zone}", token=TOKEN)
    records = aws.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    alias = [one["AliasTarget"]["DNSName"] for one in records if one["Name"] == "bot.example.com."]
    assert [name.rstrip(".") for name in alias] == [web(prefix).outputs["BalancerDnsName"]]
    assert web(prefix).parameters["CertificateArn"] == domains.found(Service(prefix), "bot.example.com")
    assert control.webhook()["url"] == "https://bot.example.com/telegram/webhook"


def test_missing_certificate_and_token_are_reported(prefix: str, control: TelegramControl) -> None:
    lines = provision(prefix)
    assert any("no certificate" in line and f"--prefix {prefix} --self-signed" in line for line in lines)
    assert any("has no token yet" in line and "--token-fd" in line for line in lines)
    assert control.webhook()["url"] == ""
    assert any("is closed to everybody" in line and "--parameter OperatorCidr=" in line for line in lines)


def test_later_run_adds_token_and_keeps_certificate(prefix: str, control: TelegramControl) -> None:
    provision(prefix, "--self-signed")
    arn = web(prefix).parameters["CertificateArn"]
    before = acm.pem(arn)
    provision(prefix, token=TOKEN)
    assert (web(prefix).parameters["CertificateArn"], acm.pem(arn), stored(prefix)) == (arn, before, TOKEN)
    assert control.webhook()["has_custom_certificate"]


def test_service_switches_to_domain_and_back(prefix: str, control: TelegramControl, zone: str) -> None:
    provision(prefix, "--self-signed", token=TOKEN)
    provision(prefix, "--domain", f"{prefix}.example.com", "--hosted-zone-id", zone)
    info = control.webhook()
    assert info["url"] == f"https://{prefix}.example.com/telegram/webhook"
    provision(prefix, "--self-signed")
    assert control.webhook()["url"] == f"https://{web(prefix).outputs['BalancerDnsName']}/telegram/webhook"
    assert control.webhook()["has_custom_certificate"]


@pytest.mark.parametrize("arguments", [["--self-signed"], []])
def test_expiring_certificate_is_renewed_and_sent_to_telegram(
    prefix: str, control: TelegramControl, arguments: list[str]
) -> None:
    provision(prefix, "--self-signed", token=TOKEN)
    arn, name = web(prefix).parameters["CertificateArn"], web(prefix).outputs["BalancerDnsName"]
    old = self_signed.make(name, datetime.now(UTC) - self_signed.VALID + timedelta(days=20))
    aws.client("acm").import_certificate(CertificateArn=arn, Certificate=old.certificate, PrivateKey=old.key)
    assert any("would be renewed" in line for line in provision(prefix, *arguments, "--plan"))
    sent = len(control.calls("setWebhook"))
    provision(prefix, *arguments)
    assert acm.pem(arn) != old.certificate
    assert len(control.calls("setWebhook")) == sent + 1


# -------------------------------------------------------------------------------------------- the token


def test_token_is_asked_for_until_one_is_stored(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "nonsense", "123456:another-token", TOKEN)
    shown = "\n".join(provision(prefix, output=Terminal()))
    assert "This isn't a bot token" in shown
    assert "doesn't know this bot token" in shown
    assert TOKEN not in shown
    assert stored(prefix) == TOKEN
    typed(monkeypatch)
    provision(prefix, output=Terminal())


def test_service_is_deployed_without_token(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "")
    provision(prefix, output=Terminal())
    assert not bot.has_token(Service(prefix))


def test_wrong_token_is_rejected_before_any_change(prefix: str) -> None:
    with pytest.raises(CommandError, match=r"not stored\. .*doesn't know.* Nothing was changed") as caught:
        provision(prefix, token="123456:another-token")
    assert "another-token" not in str(caught.value)
    assert cloudformation.describe(f"{prefix}-network") is None


def test_wrong_token_keeps_stored_one(prefix: str) -> None:
    provision(prefix, token=TOKEN)
    with pytest.raises(CommandError, match="doesn't know"):
        provision(prefix, token="123456:another-token")
    assert stored(prefix) == TOKEN


@pytest.mark.parametrize(("given", "reason"), [("\n", "holds no token"), ("my token", "This isn't a bot token")])
def test_descriptor_without_token_is_rejected(prefix: str, given: str, reason: str) -> None:
    with pytest.raises(CommandError, match=reason) as caught:
        provision(prefix, token=given)
    assert given not in str(caught.value)


def test_closed_descriptor_is_reported(prefix: str) -> None:
    with pytest.raises(CommandError, match="--token-fd 999: Bad file descriptor"):
        provision(prefix, "--token-fd", "999")


def test_secrets_are_only_in_secrets_manager(prefix: str) -> None:
    provision(prefix, token=TOKEN)
    hidden = secrets(prefix)
    assert len(hidden) == 5
    assert TOKEN in hidden
    public = told(prefix)
    assert f"{prefix}/results-key" in public
    assert [value for value in hidden if value in public] == []


def secrets(prefix: str) -> list[str]:
    """Return the values of the prefix's secrets."""
    manager = aws.client("secretsmanager")
    names = [one["Name"] for one in manager.list_secrets()["SecretList"] if one["Name"].startswith(f"{prefix}/")]
    texts = [manager.get_secret_value(SecretId=name)["SecretString"] for name in names]
    return [value for text in texts for value in (json.loads(text).values() if text.startswith("{") else [text])]


def told(prefix: str) -> str:
    """Return everything that describing stacks and launch templates shows."""
    client, ec2, found = aws.client("cloudformation"), aws.client("ec2"), []
    for name in [Service(prefix).stack_name(part) for part in stacks.ORDER]:
        found.append(client.describe_stacks(StackName=name)["Stacks"])
        found.append(client.get_template(StackName=name)["TemplateBody"])
        found.append(client.describe_stack_events(StackName=name)["StackEvents"])
    for role in ("polybot", "yolo5", "metrics"):
        versions = ec2.describe_launch_template_versions(LaunchTemplateName=f"{prefix}-{role}")
        data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        found.append([data, base64.b64decode(data["UserData"])])
    return str(found)


# -------------------------------------------------------------------------------------- what is refused


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
        (["--parameter", "KeptDays=8"], "KeptDays can't be '8': it has to be one of 5, 7, 14"),
        (["--parameter", "OperatorCidr=here"], "an IPv4 CIDR block such as"),
        (["--parameter", "Yolo5ImageId=mine"], "the id of an AMI"),
    ],
)
def test_invalid_input_is_rejected_before_any_change(prefix: str, arguments: list[str], reason: str) -> None:
    for more in ([], ["--plan"]):
        with pytest.raises(CommandError, match=reason):
            provision(prefix, *arguments, *more)
    assert cloudformation.describe(f"{prefix}-network") is None


def test_domain_outside_its_zone_is_rejected_before_any_change(prefix: str, zone: str) -> None:
    for more in ([], ["--plan"]):
        with pytest.raises(CommandError, match=r"bot\.example\.org is not in the hosted zone"):
            provision(prefix, "--domain", "bot.example.org", "--hosted-zone-id", zone, *more)
    assert cloudformation.describe(f"{prefix}-network") is None


def test_foreign_stack_is_found_before_certificate_request(prefix: str, zone: str) -> None:
    topic = '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}'
    aws.client("cloudformation").create_stack(StackName=f"{prefix}-web", TemplateBody=topic)
    with pytest.raises(CommandError, match=f"{prefix}-web was not made by"):
        provision(prefix, "--domain", "bot.example.com", "--hosted-zone-id", zone)
    assert domains.found(Service(prefix), "bot.example.com") == ""


# ------------------------------------------------------------------------------------------ interrupted

STEPS: list[tuple[Any, str, str]] = [
    (acm, "ensure_self_signed", "after"),
    (bot, "store", "before"),
    (bot, "store", "after"),
    (rollout, "outdated", "before"),
    (registration, "register", "before"),
]

# Until the stacks have the certificate; from there on, the steps are the same.
DOMAIN_STEPS: list[tuple[Any, str, str]] = [
    (validation, "put", "before"),
    (validation, "put", "after"),
    (domains, "ensure_public", "after"),
]


def test_interrupted_run_is_resumed_at_any_step(
    prefix: str, control: TelegramControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, step, when in STEPS:
        with monkeypatch.context() as patch:
            patch.setattr(module, step, interrupted(getattr(module, step), when))
            with pytest.raises(CommandError, match="Interrupted"):
                provision(prefix, "--self-signed", token=TOKEN)
    provision(prefix, "--self-signed", token=TOKEN)
    assert (control.webhook()["has_custom_certificate"], stored(prefix)) == (True, TOKEN)
    made = [one["CertificateArn"] for one in acm.ours(Service(prefix), "IMPORTED")]
    assert made == [web(prefix).parameters["CertificateArn"]]


def test_interrupted_certificate_request_is_resumed(
    prefix: str, control: TelegramControl, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{prefix}.example.com"
    way = ("--domain", name, "--hosted-zone-id", zone)
    for module, step, when in DOMAIN_STEPS:
        with monkeypatch.context() as patch:
            patch.setattr(module, step, interrupted(getattr(module, step), when))
            with pytest.raises(CommandError, match="Interrupted"):
                provision(prefix, *way, token=TOKEN)
    provision(prefix, *way, token=TOKEN)
    assert control.webhook()["url"] == f"https://{name}/telegram/webhook"
    made = [one["CertificateArn"] for one in acm.ours(Service(prefix), "AMAZON_ISSUED")]
    assert made == [web(prefix).parameters["CertificateArn"]]
    records = aws.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert sorted(one["Type"] for one in records if one["Name"].endswith(f"{name}.")) == ["A", "CNAME"]


def interrupted(step: Callable[..., Any], when: str) -> Callable[..., Any]:
    """Return a step with a SIGTERM before or after it."""

    def run(*arguments: Any, **more: Any) -> Any:
        if when == "after":
            step(*arguments, **more)
        os.kill(os.getpid(), 15)

    return run


# ------------------------------------------------------------------------------------------- the webhook


def test_run_waits_until_telegram_resolves_host(prefix: str, control: TelegramControl) -> None:
    unknown = "Bad Request: bad webhook: Failed to resolve host: Name or service not known"
    control.fault("setWebhook", "bad_request", description=unknown)
    lines = provision(prefix, "--self-signed", token=TOKEN)
    assert any("waiting for DNS" in line for line in lines)
    assert control.webhook()["has_custom_certificate"]


def test_rejected_webhook_is_sent_by_next_run(prefix: str, control: TelegramControl) -> None:
    control.fault("setWebhook", "bad_request", description="Bad Request: bad webhook: IP address is reserved")
    with pytest.raises(
        CommandError, match=r"Everything is deployed, but .*ip address is reserved - then run this again"
    ):
        provision(prefix, "--self-signed", token=TOKEN)
    provision(prefix, "--self-signed")
    assert control.webhook()["has_custom_certificate"]


# ------------------------------------------------------------------------------------------ old machines


def test_instances_of_older_image_are_replaced(prefix: str) -> None:
    provision(prefix)
    scaling, group = aws.client("autoscaling"), f"{prefix}-polybot"
    scaling.set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=2)
    other = aws.client("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    lines = provision(prefix, "--parameter", f"PolybotImageId={other}")
    assert any(line.startswith(f"{group} is replacing 2 instances") for line in lines)
    assert len(scaling.describe_instance_refreshes(AutoScalingGroupName=group)["InstanceRefreshes"]) == 1


def test_running_refresh_is_left_alone(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator finishes a refresh at once."""
    monkeypatch.setattr(rollout, "outdated", lambda group: ["i-1"] if group == f"{prefix}-yolo5" else [])
    monkeypatch.setattr(rollout, "start", lambda group: "")
    assert (
        f"{prefix}-yolo5 is still replacing instances since an earlier run; run this again when it is done"
        in provision(prefix)
    )


# --------------------------------------------------------------------------------------------- the plan


def test_plan_lists_steps_outside_stacks(
    prefix: str, control: TelegramControl, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = provision(prefix, "--self-signed", "--plan")
    assert "A certificate for the load balancer's name would be made and imported into ACM." in own
    public = provision(prefix, "--domain", "plan.example.com", "--hosted-zone-id", zone, "--plan")
    assert any(line.startswith("A public certificate for plan.example.com would be requested") for line in public)
    assert any("HttpsListener" in line for line in own)
    assert not any("HttpsListener" in line for line in provision(prefix, "--plan"))
    assert any(line.startswith("If no bot token is stored, it would be asked for") for line in own)
    assert any("Telegram would be given the webhook" in line for line in own)
    assert list(acm.ours(Service(prefix), "IMPORTED")) == []
    assert cloudformation.describe(f"{prefix}-network") is None
    assert control.calls() == []


def test_plan_after_deployment_is_empty(prefix: str) -> None:
    provision(prefix, "--self-signed", token=TOKEN)
    planned = provision(prefix, "--self-signed", "--plan")
    assert planned[0] == f"Nothing would change in the stacks of {prefix}."
    assert not any("certificate" in line for line in planned)
