"""`provision` that failed or was interrupted is finished by the next run."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from botsite import aws
from deploy import provision, stacks
from deploy.certificates import acm, domains, validation
from deploy.cfn import change_sets, cloudformation, template
from deploy.cfn.cloudformation import Change, Event
from deploy.images import rollout
from deploy.local.telegram.client import TelegramControl
from deploy.service import Service
from deploy.webhook import bot, registration
from tests.support.deployed import statuses
from tests.support.emulators import TOKEN
from tests.support.processes import wait_until
from tests.support.provisioning import queue, redrive, run, run_provision, spoil, stored, web

pytestmark = pytest.mark.slow


@pytest.mark.smoke
def test_failed_update_rolls_back_and_names_cause(prefix: str, templates: Path) -> None:
    provision.deploy(Service(prefix))
    spoil(templates, "queue", "VisibilityTimeout: !Ref JobsVisibilitySeconds", "VisibilityTimeout: 50000")
    with pytest.raises(
        CommandError, match=rf"{prefix}-queue is UPDATE_ROLLBACK_COMPLETE: JobsQueue .*VisibilityTimeout"
    ):
        run("provision", "--prefix", prefix)
    assert queue(prefix, "jobs")["VisibilityTimeout"] == "60"


def test_corrected_template_is_deployed_after_failed_creation(prefix: str, templates: Path) -> None:
    good = (templates / "queue.yaml").read_text()
    spoil(templates, "queue", "VisibilityTimeout: !Ref JobsVisibilitySeconds", "VisibilityTimeout: 50000")
    with pytest.raises(stacks.StackError, match="JobsQueue"):
        provision.deploy(Service(prefix))
    assert statuses(prefix)[f"{prefix}-queue"] == "ROLLBACK_COMPLETE"
    (templates / "queue.yaml").write_text(good)
    assert provision.deploy(Service(prefix))[f"{prefix}-queue"] == "created"


def test_rejected_template_leaves_no_empty_stack(prefix: str, templates: Path) -> None:
    spoil(templates, "queue", "Type: AWS::SQS::Queue", "Type: AWS::SQS::NoSuchThing")
    with pytest.raises(CommandError, match="NoSuchThing"):
        run("provision", "--prefix", prefix)
    before = stacks.order()[: stacks.order().index("queue")]
    assert statuses(prefix) == {f"{prefix}-{part}": "CREATE_COMPLETE" for part in before}


@pytest.mark.parametrize("left", ["provision", "another"])
def test_run_interrupted_before_execution_is_resumed(prefix: str, left: str) -> None:
    aws.client("cloudformation").create_change_set(
        StackName=f"{prefix}-storage",
        ChangeSetName=left,
        ChangeSetType="CREATE",
        TemplateBody=(stacks.TEMPLATES / "storage.yaml").read_text(),
        Parameters=[{"ParameterKey": "Prefix", "ParameterValue": prefix}],
    )
    assert statuses(prefix) == {f"{prefix}-storage": "REVIEW_IN_PROGRESS"}
    assert set(provision.deploy(Service(prefix)).values()) == {"created"}


def test_update_interrupted_before_execution_is_resumed(prefix: str) -> None:
    provision.deploy(Service(prefix))
    aws.client("cloudformation").delete_change_set(StackName=f"{prefix}-queue", ChangeSetName="provision")
    aws.client("cloudformation").create_change_set(
        StackName=f"{prefix}-queue",
        ChangeSetName="provision",
        UsePreviousTemplate=True,
        Parameters=[
            {"ParameterKey": "Prefix", "ParameterValue": prefix},
            {"ParameterKey": "JobsMaxReceives", "ParameterValue": "9"},
        ],
    )
    assert provision.deploy(Service(prefix), {"JobsMaxReceives": "7"})[f"{prefix}-queue"] == "updated"
    assert redrive(queue(prefix, "jobs"))[1] == 7


def test_two_updates_at_once_never_pass_for_each_other(prefix: str) -> None:
    """The second run replaces the change set that the first is about to execute: they have the same name."""
    provision.deploy(Service(prefix))
    service, text = Service(prefix), template.read(stacks.TEMPLATES / "queue.yaml")
    first, second = (
        stacks._change_set(service, "queue", service.find("queue"), text, {"JobsMaxReceives": value})
        for value in ("7", "9")
    )
    with pytest.raises(stacks.StackError, match=f"{prefix}-queue was changed by another run"):
        change_sets.execute(f"{prefix}-queue", first, stacks.silent)
    change_sets.execute(f"{prefix}-queue", second, stacks.silent)
    assert redrive(queue(prefix, "jobs"))[1] == 9


def test_new_default_replaces_earlier_one(prefix: str, templates: Path) -> None:
    spoil(templates, "queue", "Default: 50", "Default: 5")
    provision.deploy(Service(prefix), {"JobsKeptSeconds": "7200"})
    spoil(templates, "queue", "Default: 5", "Default: 50")
    assert redrive(queue(prefix, "jobs"))[1] == 5
    assert stacks.plan(Service(prefix)) == [Change(f"{prefix}-queue", "Modify", "JobsQueue", "AWS::SQS::Queue")]
    provision.deploy(Service(prefix))
    kept = queue(prefix, "jobs")
    assert (redrive(kept)[1], kept["MessageRetentionPeriod"]) == (50, "7200")


def test_value_no_longer_allowed_is_rejected_before_any_change(prefix: str, templates: Path) -> None:
    parts = ("storage", "web", "workers", "metrics")
    for part in parts:
        spoil(templates, part, "AllowedValues: [5,", "AllowedValues: [3, 5,")
    provision.deploy(Service(prefix), {"KeptDays": "3"})
    for part in parts:
        spoil(templates, part, "AllowedValues: [3, 5,", "AllowedValues: [5,")
    for plan in ([], ["--plan"]):
        with pytest.raises(CommandError, match=f"{prefix}-storage has KeptDays=3, .* has to be one of 5, 7, .*=VALUE"):
            run("provision", "--prefix", prefix, *plan)
    assert stacks.plan(Service(prefix), {"KeptDays": "5"})


@pytest.mark.smoke
def test_run_interrupted_during_execution_is_resumed(prefix: str) -> None:
    def interrupt(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        provision.deploy(Service(prefix), report=interrupt)
    assert provision.deploy(Service(prefix))[f"{prefix}-queue"] == "created"
    assert set(statuses(prefix).values()) == {"CREATE_COMPLETE"}


def test_teardown_cleans_up_after_interrupted_run(prefix: str, templates: Path) -> None:
    spoil(templates, "queue", "VisibilityTimeout: !Ref JobsVisibilitySeconds", "VisibilityTimeout: 50000")
    with pytest.raises(stacks.StackError):
        provision.deploy(Service(prefix))
    run("teardown", "--prefix", prefix, "--yes")
    assert statuses(prefix) == {}


def test_stuck_stack_is_reported_with_advice(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator never has such states, so the stack's description is made up."""
    tags = {"Project": prefix, "ManagedBy": "object-detection-service"}
    for status, what in (
        ("UPDATE_ROLLBACK_FAILED", f"continue-update-rollback --stack-name {prefix}-network"),
        ("ROLLBACK_FAILED", f"teardown --prefix {prefix}"),
        ("DELETE_FAILED", f"teardown --prefix {prefix}"),
    ):
        monkeypatch.setattr(
            cloudformation, "describe", lambda name, status=status: cloudformation.Stack(name, "id", status, tags)
        )
        with pytest.raises(CommandError, match=rf"{prefix}-network is {status}\. .*{what}"):
            run("provision", "--prefix", prefix)


@pytest.mark.parametrize("command", ["provision", "teardown"])
def test_foreign_stack_is_left_alone(prefix: str, command: str) -> None:
    provision.deploy(Service(prefix))
    stacks.delete(Service(prefix))
    aws.client("cloudformation").create_stack(
        StackName=f"{prefix}-storage",
        TemplateBody='{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}',
        Tags=[{"Key": "Project", "Value": prefix}],
    )
    wait_until(lambda: statuses(prefix) == {f"{prefix}-storage": "CREATE_COMPLETE"})
    with pytest.raises(CommandError, match=f"{prefix}-storage was not made by"):
        run(command, "--prefix", prefix)
    assert statuses(prefix) == {f"{prefix}-storage": "CREATE_COMPLETE"}


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
                run_provision(prefix, "--self-signed", token=TOKEN)
    run_provision(prefix, "--self-signed", token=TOKEN)
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
                run_provision(prefix, *way, token=TOKEN)
    run_provision(prefix, *way, token=TOKEN)
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
