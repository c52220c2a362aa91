"""Waiting for CloudFormation, with scripted answers: AWS takes minutes where the emulator takes none."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.stub import ANY, Stubber
from django.conf import settings

from botsite import aws
from deploy import stacks
from deploy.cfn import change_sets, cloudformation, template
from deploy.cfn.cloudformation import Event, Stack, StackError
from deploy.service import Service

ID = "arn:aws:cloudformation:us-east-1:123456789012:stack/app-queue/1"
STACK = Stack("app-queue", ID, "REVIEW_IN_PROGRESS")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
OURS = "arn:aws:cloudformation:us-east-1:123456789012:changeSet/provision/1"
ANY_EXECUTION = {"StackName": "app-queue", "ClientRequestToken": ANY}


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """Script CloudFormation's answers, in the order they must be asked for."""
    client = boto3.client(  # noqa: TID251
        "cloudformation", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    somebody = boto3.client("sts", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")  # noqa: TID251
    arn = (AWSResponse("", 200, HTTPHeaders(), None), {"Arn": "arn:aws:iam::123456789012:user/ann"})
    somebody.meta.events.register("before-call.sts.GetCallerIdentity", lambda **_: arn)
    monkeypatch.setattr(aws, "client", lambda service: {"cloudformation": client, "sts": somebody}[service])
    # Without this, the code would wait between looks.
    monkeypatch.setattr(settings, "AWS_ENDPOINT_URL", "http://emulator")
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def event(number: int, status: str, logical_id: str = "app-queue", reason: str = "") -> dict[str, Any]:
    """Return an event as CloudFormation lists it."""
    return {
        "StackId": ID,
        "EventId": str(number),
        "StackName": "app-queue",
        "LogicalResourceId": logical_id,
        "PhysicalResourceId": ID if logical_id == "app-queue" else logical_id,
        "ResourceType": "AWS::CloudFormation::Stack" if logical_id == "app-queue" else "AWS::SQS::Queue",
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
        "Timestamp": NOW,
    }


def script_events(answers: Stubber, *listings: list[dict[str, Any]]) -> None:
    """Answer the listings of events with these, one each; events are oldest first."""
    for listing in listings:
        answers.add_response("describe_stack_events", {"StackEvents": listing[::-1]})


def script_stack(answers: Stubber, *statuses: str, change_set: str = "") -> None:
    """Answer the descriptions of the stack with these statuses, one each."""
    for status in statuses:
        stack = {"StackName": "app-queue", "StackId": ID, "StackStatus": status, "CreationTime": NOW}
        stack |= {"ChangeSetId": change_set} if change_set else {}
        answers.add_response("describe_stacks", {"Stacks": [stack]})


def test_slow_stack_is_followed_event_by_event(answers: Stubber) -> None:
    before = [event(1, "REVIEW_IN_PROGRESS")]
    started = [*before, event(2, "CREATE_IN_PROGRESS"), event(3, "CREATE_IN_PROGRESS", "JobsDlq")]
    ended = [*started, event(4, "CREATE_COMPLETE", "JobsDlq"), event(5, "CREATE_COMPLETE")]
    script_stack(answers, "REVIEW_IN_PROGRESS")
    script_events(answers, before)
    answers.add_response("execute_change_set", {}, {**ANY_EXECUTION, "ChangeSetName": OURS})
    script_events(answers, before, started, started, ended)
    script_stack(answers, "CREATE_COMPLETE", change_set=OURS)
    seen: list[Event] = []
    change_sets.execute("app-queue", OURS, seen.append)
    assert [(one.logical_id, one.status) for one in seen] == [
        ("app-queue", "CREATE_IN_PROGRESS"),
        ("JobsDlq", "CREATE_IN_PROGRESS"),
        ("JobsDlq", "CREATE_COMPLETE"),
        ("app-queue", "CREATE_COMPLETE"),
    ]


def test_stack_that_another_run_changed_meanwhile_is_no_success(answers: Stubber) -> None:
    script_stack(answers, "UPDATE_COMPLETE")
    script_events(answers, [event(1, "UPDATE_COMPLETE")])
    answers.add_response("execute_change_set", {})
    script_events(answers, [event(1, "UPDATE_COMPLETE"), event(2, "UPDATE_COMPLETE")])
    script_stack(answers, "UPDATE_COMPLETE", change_set=OURS.replace("/1", "/2"))
    with pytest.raises(StackError, match="app-queue was changed by another run"):
        change_sets.execute("app-queue", OURS, lambda event: None)


@pytest.mark.parametrize("code", ["ChangeSetNotFound", "InvalidChangeSetStatus"])
def test_replaced_change_set_is_not_executed(answers: Stubber, code: str) -> None:
    script_stack(answers, "UPDATE_COMPLETE")
    script_events(answers, [event(1, "UPDATE_COMPLETE")])
    answers.add_client_error("execute_change_set", code)
    with pytest.raises(StackError, match="app-queue was changed by another run"):
        change_sets.execute("app-queue", OURS, lambda event: None)


def test_first_change_set_keeps_no_value(answers: Stubber) -> None:
    """AWS refuses UsePreviousValue with the type CREATE (API_CreateChangeSet), which a stack in review has again."""
    in_review = Stack("app-queue", ID, "REVIEW_IN_PROGRESS", parameters={"Prefix": "app", "JobsMaxReceives": "7"})
    given = dict.fromkeys(("StackName", "ChangeSetName", "TemplateBody", "Tags", "Capabilities", "ClientToken"), ANY)
    own = {"ParameterKey": "Prefix", "ParameterValue": "app"}
    answers.add_response("delete_change_set", {})
    answers.add_response("create_change_set", {"Id": OURS}, {**given, "ChangeSetType": "CREATE", "Parameters": [own]})
    answers.add_response("describe_change_set", {"Status": "CREATE_COMPLETE"})
    text = template.read(stacks.TEMPLATES / "queue.yaml")
    assert stacks._change_set(Service("app"), "queue", in_review, text, {})


def test_error_names_first_failure_not_cancellations(answers: Stubber) -> None:
    script_events(
        answers,
        [
            event(1, "UPDATE_IN_PROGRESS"),
            event(2, "UPDATE_FAILED", "MetricsQueue", "Resource update cancelled"),
            event(3, "UPDATE_FAILED", "JobsQueue", "not authorized to perform: sqs:SetQueueAttributes"),
            event(4, "UPDATE_FAILED", "JobsDlq", "another reason"),
            event(5, "UPDATE_ROLLBACK_IN_PROGRESS", reason="The following resource(s) failed"),
        ],
        [event(5, "UPDATE_ROLLBACK_IN_PROGRESS"), event(6, "UPDATE_ROLLBACK_COMPLETE")],
    )
    said = r"app-queue is UPDATE_ROLLBACK_COMPLETE: JobsQueue .* not authorized to perform: sqs:SetQueueAttributes"
    with pytest.raises(StackError, match=said):
        cloudformation.follow(STACK, "", lambda event: None, ends=("UPDATE_COMPLETE",))


def test_manual_rollback_gives_stacks_own_reason(answers: Stubber) -> None:
    script_events(
        answers, [event(1, "ROLLBACK_IN_PROGRESS", reason="User Initiated"), event(2, "ROLLBACK_COMPLETE", reason="")]
    )
    with pytest.raises(StackError, match=r"is ROLLBACK_COMPLETE: app-queue .* User Initiated"):
        cloudformation.follow(STACK, "", lambda event: None, ends=("CREATE_COMPLETE",))


def test_running_operation_is_waited_for(answers: Stubber) -> None:
    script_stack(answers, "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE")
    seen: list[Event] = []
    settled = cloudformation.settle(Stack("app-queue", ID, "UPDATE_IN_PROGRESS"), seen.append)
    assert settled == Stack("app-queue", ID, "UPDATE_COMPLETE", created=NOW)
    assert [one.reason for one in seen] == ["waiting for an earlier run"]


def test_running_deletion_is_waited_for(answers: Stubber) -> None:
    script_stack(answers, "DELETE_IN_PROGRESS", "DELETE_COMPLETE")
    assert cloudformation.settle(Stack("app-queue", ID, "DELETE_IN_PROGRESS"), lambda event: None) is None


def test_endless_stack_operation_is_given_up_with_advice(answers: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudformation, "_STACK_SECONDS", -1)
    script_events(answers, [event(1, "CREATE_IN_PROGRESS")])
    with pytest.raises(StackError, match=r"app-queue is still in progress .* run the command again"):
        cloudformation.follow(STACK, "", lambda event: None, ends=("CREATE_COMPLETE",))


def test_failed_change_set_is_removed_with_its_empty_stack(answers: Stubber) -> None:
    answers.add_response("create_change_set", {"Id": OURS})
    for status, reason in (("CREATE_PENDING", ""), ("FAILED", "No export named app-network-VpcId found")):
        answers.add_response("describe_change_set", {"Status": status, "StatusReason": reason})
    answers.add_response("delete_change_set", {})
    script_stack(answers, "REVIEW_IN_PROGRESS")
    answers.add_response("delete_stack", {}, {"StackName": ID, "ClientRequestToken": ANY})
    script_stack(answers, "DELETE_IN_PROGRESS", "DELETE_COMPLETE")
    with pytest.raises(StackError, match=r"app-queue: .* No export named app-network-VpcId found"):
        change_sets.create("app-queue", None, "provision", "{}", [], {})


def test_empty_change_set_is_removed_without_error(answers: Stubber) -> None:
    reason = "The submitted information didn't contain changes. Submit different information to create a change set."
    answers.add_response("delete_change_set", {})
    answers.add_response("create_change_set", {"Id": OURS})
    answers.add_response("describe_change_set", {"Status": "FAILED", "StatusReason": reason})
    answers.add_response("delete_change_set", {})
    script_stack(answers, "UPDATE_COMPLETE")
    found = Stack("app-queue", ID, "UPDATE_COMPLETE")
    assert not change_sets.create("app-queue", found, "provision", "{}", [], {})
