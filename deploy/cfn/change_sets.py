"""Make, execute and discard the change set of one CloudFormation stack."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from botsite import aws
from deploy.cfn import cloudformation, remedies
from deploy.cfn.cloudformation import Report, Stack, StackError

_CHANGE_SET_SECONDS = 10 * 60
_UNCHANGED = ("didn't contain changes", "No updates are to be performed")


def create(
    name: str,
    found: Stack | None,
    change_set: str,
    body: str,
    parameters: Sequence[Mapping[str, Any]],
    tags: Mapping[str, str],
) -> bool:
    """Make a change set for the stack `name`, described by `found`; return whether it changes anything.

    If it doesn't, it is deleted. The name of the change set is always the same, so that the next run finds and
    replaces the one that an interrupted run left.
    """
    client = aws.client("cloudformation")
    if found:
        client.delete_change_set(StackName=name, ChangeSetName=change_set)
    client.create_change_set(
        StackName=name,
        ChangeSetName=change_set,
        ChangeSetType="UPDATE" if found and not found.empty else "CREATE",
        TemplateBody=body,
        Parameters=list(parameters),
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        # For the templates with roles; it permits nothing in the others.
        Capabilities=["CAPABILITY_NAMED_IAM"],
        ClientToken=cloudformation.token(),
    )
    status, reason = _wait_for_change_set(name, change_set)
    if status != "FAILED":
        return True
    reason += cloudformation.invalid(reason, StackName=name, ChangeSetName=change_set)
    discard(name, change_set)
    if any(phrase in reason for phrase in _UNCHANGED):
        return False
    advice = remedies.advice(reason)
    raise StackError(f"{name}: CloudFormation rejects the template or its parameters: {reason}{advice}")


def execute(name: str, change_set: str, report: Report) -> None:
    """Execute a change set and follow it to the end; raise StackError with the cause of a failure."""
    stack = cloudformation.describe(name)
    if stack is None:
        raise StackError(f"{name} is gone: something else deleted it in the meantime. Run the command again.")
    after = cloudformation.newest_event(stack)
    aws.client("cloudformation").execute_change_set(
        StackName=name, ChangeSetName=change_set, ClientRequestToken=cloudformation.token()
    )
    cloudformation.follow(stack, after, report, ends=("CREATE_COMPLETE", "UPDATE_COMPLETE"))


def discard(name: str, change_set: str) -> None:
    """Delete a change set that won't be executed, and the empty stack that a first change set creates."""
    aws.client("cloudformation").delete_change_set(StackName=name, ChangeSetName=change_set)
    found = cloudformation.describe(name)
    if found and found.empty:
        cloudformation.drop(found)


def _wait_for_change_set(stack: str, change_set: str) -> tuple[str, str]:
    """Return the status, CREATE_COMPLETE or FAILED, and its reason."""
    deadline = time.monotonic() + _CHANGE_SET_SECONDS
    while True:
        found = aws.client("cloudformation").describe_change_set(StackName=stack, ChangeSetName=change_set)
        if found["Status"] in ("CREATE_COMPLETE", "FAILED"):
            return found["Status"], found.get("StatusReason", "")
        cloudformation.pause(deadline, f"{stack}: the change set is still {found['Status']}")
