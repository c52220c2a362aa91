"""Make, execute and discard the change set of one CloudFormation stack."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from botsite import aws
from deploy.cfn import cloudformation, remedies
from deploy.cfn.cloudformation import Report, Stack, StackError

_CHANGE_SET_SECONDS = 10 * 60
_UNCHANGED = ("didn't contain changes", "No updates are to be performed")
# A change set that another run has replaced, or outdated by executing its own.
_OVERTAKEN = ("ChangeSetNotFound", "InvalidChangeSetStatus", "AlreadyExistsException")


def create(
    name: str,
    found: Stack | None,
    change_set: str,
    body: str,
    parameters: Sequence[Mapping[str, Any]],
    tags: Mapping[str, str],
) -> str:
    """Make a change set for the stack `name`, described by `found`; return its ARN, empty if it changes nothing.

    If it doesn't, it is deleted. The name of the change set is always the same, so that the next run finds and
    replaces the one that an interrupted run left.
    """
    client = aws.client("cloudformation")
    if found:
        client.delete_change_set(StackName=name, ChangeSetName=change_set)
    with _not_overtaken(name):
        answer = client.create_change_set(
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
        made = str(answer["Id"])
        status, reason = _wait_for_change_set(name, made)
    if status != "FAILED":
        return made
    reason += cloudformation.invalid(reason, StackName=name, ChangeSetName=made)
    discard(name, made)
    if any(phrase in reason for phrase in _UNCHANGED):
        return ""
    advice = remedies.advice(reason)
    raise StackError(f"{name}: CloudFormation rejects the template or its parameters: {reason}{advice}")


def execute(name: str, change_set: str, report: Report) -> None:
    """Execute a change set, by its ARN, and follow it to the end; raise StackError with the cause of a failure.

    Another run may make one of the same name, or change the stack meanwhile: raise StackError then, too.
    """
    stack = cloudformation.describe(name)
    if stack is None:
        raise StackError(f"{name} is gone: something else deleted it in the meantime. Run the command again.")
    after = cloudformation.newest_event(stack)
    with _not_overtaken(name):
        aws.client("cloudformation").execute_change_set(
            StackName=name, ChangeSetName=change_set, ClientRequestToken=cloudformation.token()
        )
    cloudformation.follow(stack, after, report, ends=("CREATE_COMPLETE", "UPDATE_COMPLETE"))
    changed = cloudformation.describe(stack.id)
    # The emulator doesn't tell which one a stack executed last.
    if changed and changed.change_set not in ("", change_set):
        raise _overtaken(name)


@contextmanager
def _not_overtaken(name: str) -> Iterator[None]:
    """Raise StackError for a change set that is gone, outdated or there already: another run works on the stack."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] not in _OVERTAKEN:
            raise
        raise _overtaken(name) from error


def _overtaken(name: str) -> StackError:
    return StackError(
        f"{name} was changed by another run at the same time, so it may not be what this run wanted. Wait until the "
        "other run has ended, then run this again."
    )


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
