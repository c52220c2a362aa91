"""`provision` takes the bot's token, checks it first, and shows it nowhere."""

import base64
import json

import pytest
from django.core.management import CommandError

from botsite import aws
from deploy import stacks
from deploy.cfn import cloudformation
from deploy.service import Service
from deploy.webhook import bot
from tests.support.emulators import TOKEN
from tests.support.provisioning import Terminal, run_provision, stored

pytestmark = pytest.mark.usefixtures("control")


def typed(monkeypatch: pytest.MonkeyPatch, *texts: str) -> None:
    """Answer the prompts for secrets."""
    answers = iter(texts)
    monkeypatch.setattr("sys.stdin", Terminal(""))
    monkeypatch.setattr("getpass.getpass", lambda question: next(answers))


def test_token_is_asked_for_until_one_is_stored(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "nonsense", "123456:another-token", TOKEN)
    shown = "\n".join(run_provision(prefix, output=Terminal()))
    assert "This isn't a bot token" in shown
    assert "doesn't know this bot token" in shown
    assert TOKEN not in shown
    assert stored(prefix) == TOKEN
    typed(monkeypatch)
    run_provision(prefix, output=Terminal())


def test_service_is_deployed_without_token(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "")
    run_provision(prefix, output=Terminal())
    assert not bot.has_token(Service(prefix))


def test_wrong_token_is_rejected_before_any_change(prefix: str) -> None:
    with pytest.raises(CommandError, match=r"not stored\. .*doesn't know.* Nothing was changed") as caught:
        run_provision(prefix, token="123456:another-token")
    assert "another-token" not in str(caught.value)
    assert cloudformation.describe(f"{prefix}-network") is None


def test_wrong_token_keeps_stored_one(prefix: str) -> None:
    run_provision(prefix, token=TOKEN)
    with pytest.raises(CommandError, match="doesn't know"):
        run_provision(prefix, token="123456:another-token")
    assert stored(prefix) == TOKEN


@pytest.mark.parametrize(("given", "reason"), [("\n", "holds no token"), ("my token", "This isn't a bot token")])
def test_descriptor_without_token_is_rejected(prefix: str, given: str, reason: str) -> None:
    with pytest.raises(CommandError, match=reason) as caught:
        run_provision(prefix, token=given)
    assert given not in str(caught.value)


def test_closed_descriptor_is_reported(prefix: str) -> None:
    with pytest.raises(CommandError, match="--token-fd 999: Bad file descriptor"):
        run_provision(prefix, "--token-fd", "999")


def test_secrets_are_only_in_secrets_manager(prefix: str) -> None:
    run_provision(prefix, token=TOKEN)
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
    for name in [Service(prefix).stack_name(part) for part in stacks.order()]:
        found.append(client.describe_stacks(StackName=name)["Stacks"])
        found.append(client.get_template(StackName=name)["TemplateBody"])
        found.append(client.describe_stack_events(StackName=name)["StackEvents"])
    for role in ("polybot", "yolo5", "metrics"):
        versions = ec2.describe_launch_template_versions(LaunchTemplateName=f"{prefix}-{role}")
        data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        found.append([data, base64.b64decode(data["UserData"])])
    return str(found)
