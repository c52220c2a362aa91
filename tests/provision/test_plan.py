"""`provision --plan` lists what would change, and changes nothing."""

from pathlib import Path

import pytest
from django.core.management import CommandError

from botsite import aws
from deploy import stacks
from deploy.certificates import acm
from deploy.cfn import cloudformation
from deploy.cfn.cloudformation import Change
from deploy.local.telegram.client import TelegramControl
from deploy.service import Service
from tests.support import emulators
from tests.support.deployed import statuses
from tests.support.emulators import TOKEN
from tests.support.provisioning import queue, redrive, run, run_provision, spoil

pytestmark = pytest.mark.usefixtures("control")


def test_plan_of_new_service_creates_nothing(prefix: str) -> None:
    printed = run("provision", "--prefix", prefix, "--plan")
    rows = [line.split() for line in printed.splitlines()]
    assert rows[0][:2] == ["Account", f"{emulators.account()},"]
    assert rows[1] == ["stack", "action", "logical", "id", "type", "replacement"]
    assert [f"{prefix}-storage", "Add", "PredictionsTable", "AWS::DynamoDB::Table", "-"] in rows
    assert [f"{prefix}-queue", "Add", "MetricsDlq", "AWS::SQS::Queue", "-"] in rows
    assert [row[0] for row in rows if row and row[0] == "total"] == ["total"] * 2
    assert statuses(prefix) == {}


def test_plan_prices_a_load_by_machine_type(made: str) -> None:
    printed = run("provision", "--prefix", made, "--plan", "--photos-per-day", "1000")
    rows = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if line}
    assert float(rows["t3.micro"][0]) < float(rows["t3.small"][0]) < float(rows["c7i-flex.large"][0])
    assert rows["c7g.medium"][-4:] == ["the", "images", "are", "x86-64"]
    assert "Cheapest: t3.micro." in printed
    assert "4 t3.micro (MaxWorkers) would cost US$ 313" in printed
    assert "The bot may send 25 messages/s: with more than 2 machines, answers come no earlier." in printed


def test_photos_per_day_are_for_the_plan_only(made: str) -> None:
    with pytest.raises(CommandError, match="only adds to --plan"):
        run("provision", "--prefix", made, "--photos-per-day", "1000")
    with pytest.raises(CommandError, match="photos per day is -1"):
        run("provision", "--prefix", made, "--plan", "--photos-per-day", "-1")


def test_plan_of_change_changes_nothing(made: str) -> None:
    changes = stacks.plan(Service(made), {"JobsMaxReceives": "7"})
    assert changes == [Change(f"{made}-queue", "Modify", "JobsQueue", "AWS::SQS::Queue")]
    assert redrive(queue(made, "jobs"))[1] == 50


def test_plan_names_images_to_bake_again(made: str) -> None:
    def baked(*arguments: str) -> list[str]:
        lines = run("provision", "--prefix", made, "--plan", *arguments).splitlines()
        return [line.split()[3] for line in lines if "would be baked" in line]

    assert baked("--rebake", "metricStreamer", "--rebake", "yolo5") == ["metrics", "yolo5"]
    assert baked("--rebake") == ["polybot", "yolo5", "metrics"]


def test_plan_without_changes_says_so(made: str) -> None:
    printed = run("provision", "--prefix", made, "--plan")
    assert printed.splitlines()[1] == f"Nothing would change in the stacks of {made}."


@pytest.mark.slow
def test_plan_of_pool_adds_and_prices_it(made: str) -> None:
    printed = run("provision", "--prefix", made, "--plan", "--parameter", "WarmMachines=2")
    rows = [line.split() for line in printed.splitlines()]
    assert [f"{made}-workers", "Add", "Yolo5Pool", "AWS::AutoScaling::WarmPool", "-"] in rows
    assert [row for row in rows if row[:2] == ["warm", "pool"] and "2.56" in " ".join(row)]


def test_plan_of_new_image_includes_group(made: str) -> None:
    image = aws.client("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    assert stacks.plan(Service(made), {"Yolo5ImageId": image}) == [
        Change(f"{made}-workers", "Modify", "Yolo5LaunchTemplate", "AWS::EC2::LaunchTemplate"),
        Change(f"{made}-workers", "Modify", "Yolo5Group", "AWS::AutoScaling::AutoScalingGroup"),
    ]


def test_plan_shows_replacements_and_removals(made: str, templates: Path) -> None:
    spoil(templates, "queue", "QueueName: !Sub '${Prefix}-jobs-dlq'", "QueueName: !Sub '${Prefix}-dead'")
    spoil(templates, "alarms", "TicksDeadAlarm:", "DeadTicksAlarm:")
    rows = {(one.action, one.logical_id, one.replacement) for one in stacks.plan(Service(made))}
    assert rows == {
        ("Modify", "JobsDlq", "True"),
        ("Modify", "JobsQueue", ""),
        ("Add", "DeadTicksAlarm", ""),
        ("Remove", "TicksDeadAlarm", ""),
    }


def test_plan_lists_steps_outside_stacks(
    prefix: str, control: TelegramControl, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = run_provision(prefix, "--self-signed", "--plan")
    assert "A certificate for the load balancer's name would be made and imported into ACM." in own
    public = run_provision(prefix, "--domain", "plan.example.com", "--hosted-zone-id", zone, "--plan")
    assert any(line.startswith("A public certificate for plan.example.com would be requested") for line in public)
    assert any("HttpsListener" in line for line in own)
    assert not any("HttpsListener" in line for line in run_provision(prefix, "--plan"))
    assert any(line.startswith("If no bot token is stored, it would be asked for") for line in own)
    assert any("Telegram would be given the webhook" in line for line in own)
    assert list(acm.ours(Service(prefix), "IMPORTED")) == []
    assert cloudformation.describe(f"{prefix}-network") is None
    assert control.calls() == []


def test_plan_after_deployment_is_empty(prefix: str) -> None:
    run_provision(prefix, "--self-signed", token=TOKEN)
    planned = run_provision(prefix, "--self-signed", "--plan")
    assert planned[1] == f"Nothing would change in the stacks of {prefix}."
    assert not any("certificate" in line for line in planned)
