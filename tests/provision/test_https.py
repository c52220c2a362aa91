"""`provision` from nothing to a bot with a webhook, on an emulated AWS and a fake Telegram."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError

from botsite import aws
from deploy import stacks
from deploy.certificates import acm, domains, self_signed
from deploy.images import rollout
from deploy.local.telegram.client import TelegramControl
from deploy.service import Service
from tests.support.emulators import TOKEN
from tests.support.provisioning import run_provision, stored, web

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("control")]


@pytest.mark.smoke
def test_one_command_makes_reachable_service(prefix: str, control: TelegramControl) -> None:
    lines = run_provision(prefix, "--self-signed", token=TOKEN)
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


def test_end_of_certificate_is_announced_by_an_alarm(prefix: str, control: TelegramControl) -> None:
    run_provision(prefix, "--self-signed", token=TOKEN)
    (alarm,) = aws.client("cloudwatch").describe_alarms(AlarmNames=[f"{prefix}-certificate-ends"])["MetricAlarms"]
    assert alarm["Dimensions"] == [{"Name": "CertificateArn", "Value": web(prefix).parameters["CertificateArn"]}]
    topics = [one["TopicArn"] for one in aws.client("sns").list_topics()["Topics"]]
    assert [one for one in topics if one.endswith(f":{prefix}-alarms")] == alarm["AlarmActions"]
    assert timedelta(days=alarm["Threshold"]) < acm.RENEWED_BEFORE_END


def test_second_run_changes_nothing(prefix: str, control: TelegramControl) -> None:
    first = run_provision(prefix, "--self-signed", token=TOKEN)
    before = (web(prefix), acm.pem(web(prefix).parameters["CertificateArn"]), control.webhook())
    second = run_provision(prefix, "--self-signed", token=TOKEN)
    assert (web(prefix), acm.pem(web(prefix).parameters["CertificateArn"]), control.webhook()) == before
    assert [line for line in second if ": unchanged" in line] == [
        f"{prefix}-{part}: unchanged" for part in stacks.order()
    ]
    assert [line for line in first if ": created" in line] == [f"{prefix}-{part}: created" for part in stacks.order()]
    assert "The stored bot token is unchanged." in second


def test_domain_gets_public_certificate(prefix: str, control: TelegramControl, zone: str) -> None:
    run_provision(prefix, "--domain", "Bot.Example.com", "--hosted-zone-id", f"/hostedzone/{zone}", token=TOKEN)
    records = aws.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    alias = [one["AliasTarget"]["DNSName"] for one in records if one["Name"] == "bot.example.com."]
    assert [name.rstrip(".") for name in alias] == [web(prefix).outputs["BalancerDnsName"]]
    assert web(prefix).parameters["CertificateArn"] == domains.found(Service(prefix), "bot.example.com")
    assert control.webhook()["url"] == "https://bot.example.com/telegram/webhook"


def test_missing_certificate_and_token_are_reported(prefix: str, control: TelegramControl) -> None:
    lines = run_provision(prefix)
    certificate, token = lines[-2:]
    assert certificate.startswith("Not finished. Telegram can't reach the webhook yet: no certificate. ")
    assert f"--prefix {prefix} --self-signed" in certificate
    assert token.startswith("Not finished. The bot has no token yet. ")
    assert "--token-fd" in token
    assert control.webhook()["url"] == ""
    assert any("is closed to everybody" in line and "--parameter OperatorCidr=" in line for line in lines)


def test_later_run_adds_token_and_keeps_certificate(prefix: str, control: TelegramControl) -> None:
    run_provision(prefix, "--self-signed")
    arn = web(prefix).parameters["CertificateArn"]
    before = acm.pem(arn)
    run_provision(prefix, token=TOKEN)
    assert (web(prefix).parameters["CertificateArn"], acm.pem(arn), stored(prefix)) == (arn, before, TOKEN)
    assert control.webhook()["has_custom_certificate"]


def test_service_switches_to_domain_and_back(prefix: str, control: TelegramControl, zone: str) -> None:
    run_provision(prefix, "--self-signed", token=TOKEN)
    run_provision(prefix, "--domain", f"{prefix}.example.com", "--hosted-zone-id", zone)
    info = control.webhook()
    assert info["url"] == f"https://{prefix}.example.com/telegram/webhook"
    run_provision(prefix, "--self-signed")
    assert control.webhook()["url"] == f"https://{web(prefix).outputs['BalancerDnsName']}/telegram/webhook"
    assert control.webhook()["has_custom_certificate"]


@pytest.mark.parametrize("arguments", [["--self-signed"], []])
def test_expiring_certificate_is_renewed_and_sent_to_telegram(
    prefix: str, control: TelegramControl, arguments: list[str]
) -> None:
    run_provision(prefix, "--self-signed", token=TOKEN)
    arn, name = web(prefix).parameters["CertificateArn"], web(prefix).outputs["BalancerDnsName"]
    old = self_signed.make(name, datetime.now(UTC) - self_signed.VALID + timedelta(days=20))
    aws.client("acm").import_certificate(CertificateArn=arn, Certificate=old.certificate, PrivateKey=old.key)
    assert any("would be renewed" in line for line in run_provision(prefix, *arguments, "--plan"))
    sent = len(control.calls("setWebhook"))
    run_provision(prefix, *arguments)
    assert acm.pem(arn) != old.certificate
    assert len(control.calls("setWebhook")) == sent + 1


def test_run_waits_until_telegram_resolves_host(prefix: str, control: TelegramControl) -> None:
    unknown = "Bad Request: bad webhook: Failed to resolve host: Name or service not known"
    control.fault("setWebhook", "bad_request", description=unknown)
    lines = run_provision(prefix, "--self-signed", token=TOKEN)
    assert any("waiting for DNS" in line for line in lines)
    assert control.webhook()["has_custom_certificate"]


def test_rejected_webhook_is_sent_by_next_run(prefix: str, control: TelegramControl) -> None:
    control.fault("setWebhook", "bad_request", description="Bad Request: bad webhook: IP address is reserved")
    with pytest.raises(
        CommandError, match=r"Everything is deployed, but .*ip address is reserved - then run this again"
    ):
        run_provision(prefix, "--self-signed", token=TOKEN)
    run_provision(prefix, "--self-signed")
    assert control.webhook()["has_custom_certificate"]


def test_instances_of_older_image_are_replaced(prefix: str) -> None:
    run_provision(prefix)
    scaling, group = aws.client("autoscaling"), f"{prefix}-polybot"
    scaling.set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=2)
    other = aws.client("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    lines = run_provision(prefix, "--parameter", f"PolybotImageId={other}")
    assert any(line.startswith(f"{group} is replacing 2 instances") for line in lines)
    assert len(scaling.describe_instance_refreshes(AutoScalingGroupName=group)["InstanceRefreshes"]) == 1


def test_running_refresh_is_left_alone(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator finishes a refresh at once."""
    monkeypatch.setattr(rollout, "outdated", lambda group: ["i-1"] if group == f"{prefix}-yolo5" else [])
    monkeypatch.setattr(rollout, "start", lambda group: "")
    assert (
        f"{prefix}-yolo5 is still replacing instances since an earlier run; run this again when it is done"
        in run_provision(prefix)
    )
