"""`provision` says where it is, asks once, and looks before it makes anything; an emulator is never "fine"."""

import io

import pytest
from django.core.management import CommandError, call_command

from botsite import aws
from deploy.service import Service
from metrics.health.findings import Health
from tests.support import emulators
from tests.support.deployed import statuses
from tests.support.emulators import TOKEN
from tests.support.provisioning import Terminal, descriptor, run, run_provision

pytestmark = pytest.mark.usefixtures("control")


def page(prefix: str, *arguments: str) -> dict[str, str]:
    """Return what `--check` prints of each check."""
    output = io.StringIO()
    try:
        call_command("provision", "--prefix", prefix, "--check", *arguments, stdout=output)
    except CommandError as error:
        output.write(str(error))
    lines = [line.split(maxsplit=1) for line in output.getvalue().splitlines() if not line.startswith(" ")]
    return {words[0]: words[1] for words in lines if words[1].split()[0] in list(Health)}


def test_what_the_local_aws_cannot_tell_is_not_fine(prefix: str) -> None:
    found = page(prefix, "--self-signed")
    unknown = [name for name, text in found.items() if text.startswith("unknown  not known here: the local AWS has no")]
    assert unknown == ["rights", "quota", "vpcs", "zones", "free-plan", "disk-key"]
    assert found["certificate"].startswith("ok")
    assert statuses(prefix) == {}


def test_missing_certificate_and_token_are_named(prefix: str) -> None:
    found = page(prefix)
    assert "no certificate is chosen" in found["certificate"]
    assert "no bot token is stored yet" in found["token"]


def test_domain_of_another_zone_is_missing(prefix: str, zone: str) -> None:
    good = page(prefix, "--domain", "bot.example.com", "--hosted-zone-id", zone)["certificate"]
    bad = page(prefix, "--domain", "bot.example.org", "--hosted-zone-id", zone)["certificate"]
    assert (good[:6], "its registrar has to name ns-" in good) == ("ok    ", True)
    assert (bad[:6], "is not in the hosted zone" in bad) == ("failed", True)


def test_stored_token_is_shown_to_telegram(prefix: str) -> None:
    run_provision(prefix, "--self-signed", token=TOKEN)
    assert page(prefix)["token"].startswith("ok       the token belongs to @")


def test_given_token_is_tried(prefix: str) -> None:
    output = io.StringIO()
    call_command("provision", "--prefix", prefix, "--check", "--token-fd", str(descriptor(TOKEN)), stdout=output)
    assert "Telegram knows this token" in output.getvalue()
    wrong = str(descriptor("123456:another-one"))
    with pytest.raises(CommandError, match="Telegram doesn't know this bot token"):
        call_command("provision", "--prefix", prefix, "--check", "--token-fd", wrong, stdout=output)


def test_new_service_is_agreed_to_at_a_terminal(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("no\n"))
    output = Terminal()
    with pytest.raises(CommandError, match=r"Nothing was made\. Set AWS_PROFILE and AWS_REGION"):
        call_command("provision", "--prefix", prefix, stdout=output)
    assert f"Account {emulators.account()}, http://127.0.0.1" in output.getvalue()
    assert statuses(prefix) == {}


def test_existing_service_is_not_asked_about(made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(""))
    # An empty answer would be a refusal, and the question for the token has no terminal to be asked on.
    monkeypatch.setattr("getpass.getpass", lambda question: "")
    call_command("provision", "--prefix", made, stdout=Terminal())


def test_piped_output_is_no_agreement(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`provision --prefix TYPO | tee log` asks, as somebody is there."""
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    with pytest.raises(CommandError, match=r"Nothing was made\. Set AWS_PROFILE"):
        call_command("provision", "--prefix", prefix, stdout=io.StringIO())
    assert statuses(prefix) == {}


def test_script_makes_new_service_only_with_yes(prefix: str) -> None:
    with pytest.raises(CommandError, match=rf"no terminal to ask on\. There is no service {prefix} in .* add --yes"):
        call_command("provision", "--prefix", prefix, stdout=io.StringIO())
    assert statuses(prefix) == {}
    call_command("provision", "--prefix", prefix, "--yes", stdout=io.StringIO())
    output = io.StringIO()
    call_command("provision", "--prefix", prefix, stdout=output)
    assert "The live settings match the templates" in output.getvalue()


@pytest.mark.parametrize("value", ["999.2.3.4/32", "203.0.113.7/33"])
def test_impossible_addresses_are_refused(prefix: str, value: str) -> None:
    with pytest.raises(CommandError, match="OperatorCidr can't be"):
        run("provision", "--prefix", prefix, "--plan", "--parameter", f"OperatorCidr={value}")


def test_order_names_zones(prefix: str) -> None:
    given = ("ZoneA=us-east-1c", "ZoneB=us-east-1b")
    run("provision", "--prefix", prefix, *(word for one in given for word in ("--parameter", one)))
    outputs = Service(prefix).stack("network").outputs
    ids = [outputs["SubnetAId"], outputs["SubnetBId"]]
    found = {one["SubnetId"]: one for one in aws.client("ec2").describe_subnets(SubnetIds=ids)["Subnets"]}
    assert [found[one]["AvailabilityZone"] for one in ids] == ["us-east-1c", "us-east-1b"]
