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
    """Make a change set for the stack `name`, of which `found` is known; return whether it changes anything.

    Where it does not, none is left. The change set's name stays the same from run to run, so that what an interrupted
    one left is found and replaced here.
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
        # Needed by the templates with roles; where there are none it permits nothing.
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    status, reason = _wait_for_change_set(name, change_set)
    if status != "FAILED":
        return True
    reason += cloudformation.invalid(reason, StackName=name, ChangeSetName=change_set)
    discard(name, change_set)
    if any(phrase in reason for phrase in _UNCHANGED):
        return False
    advice = remedies.advice(reason)
    raise StackError(f"{name}: CloudFormation refuses the template or its parameters: {reason}{advice}")


def execute(name: str, change_set: str, report: Report) -> None:
    """Execute a change set and follow it to its end; raise StackError with the cause if it does not succeed."""
    stack = cloudformation.describe(name)
    if stack is None:
        raise StackError(f"{name} has gone meanwhile: something else deleted it. Run the command again.")
    after = cloudformation.newest_event(stack)
    aws.client("cloudformation").execute_change_set(StackName=name, ChangeSetName=change_set)
    cloudformation.follow(stack, after, report, ends=("CREATE_COMPLETE", "UPDATE_COMPLETE"))


def discard(name: str, change_set: str) -> None:
    """Delete a change set that is not to be executed, and the empty stack that a first one brings with it."""
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
