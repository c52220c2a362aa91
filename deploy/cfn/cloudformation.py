"""Describe, follow and delete one CloudFormation stack, and find the cause of a failure."""

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Any

from botocore.exceptions import ClientError

from botsite import aws
from deploy.cfn import remedies

_DROP_SECONDS = 10 * 60
# A load balancer or a group of instances takes minutes, a large stack half an hour.
_STACK_SECONDS = 60 * 60
_GONE = "DELETE_COMPLETE"
# A token has 128 characters, without an ARN's "/", "@" and ".".
_TOKEN, _LONGEST_AUTHOR = re.compile(r"(.+)-[0-9a-f]{32}"), 90


class StackError(Exception):
    """A stack couldn't be changed: which one, why, and what to do."""


@dataclass(frozen=True)
class Stack:
    """A stack as CloudFormation describes it; `change_set` is the ARN of the one that it executed last."""

    name: str
    id: str
    status: str
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    created: datetime | None = None
    protected: bool = False
    change_set: str = ""

    @property
    def busy(self) -> bool:
        """Whether an operation is running. REVIEW_IN_PROGRESS isn't one: such a stack only has a change set."""
        return self.status.endswith("_IN_PROGRESS") and not self.empty

    @property
    def empty(self) -> bool:
        """Whether the stack is only a name, with no resources in it."""
        return self.status == "REVIEW_IN_PROGRESS"


@dataclass(frozen=True)
class Change:
    """A line of a change set. `action` is Add, Modify or Remove; `replacement` True, False, Conditional or empty."""

    stack: str
    action: str
    logical_id: str
    type: str
    replacement: str = ""


@dataclass(frozen=True)
class Event:
    """A step of one resource, or (`of_stack`) of the stack as a whole."""

    stack: str
    logical_id: str
    type: str
    status: str
    reason: str = ""
    of_stack: bool = False

    @property
    def causes_failure(self) -> bool:
        """Whether the first such event is why a stack failed: what is cancelled after it is a consequence."""
        if self.of_stack:
            return self.status.endswith("ROLLBACK_IN_PROGRESS")
        return self.status.endswith("_FAILED") and "cancelled" not in self.reason


Report = Callable[[Event], None]


def describe(name: str) -> Stack | None:
    """Return the stack with this name or id, None if it doesn't exist."""
    try:
        found = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return _stack(found)


def every() -> list[Stack]:
    """Return every stack of the account in this region."""
    pages = aws.client("cloudformation").get_paginator("describe_stacks").paginate()
    return [_stack(found) for page in pages for found in page["Stacks"]]


def _stack(found: Mapping[str, Any]) -> Stack:
    return Stack(
        name=found["StackName"],
        id=found["StackId"],
        status=found["StackStatus"],
        tags={tag["Key"]: tag["Value"] for tag in found.get("Tags", [])},
        parameters={one["ParameterKey"]: one.get("ParameterValue", "") for one in found.get("Parameters", [])},
        outputs={one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])},
        created=found.get("CreationTime"),
        protected=found.get("EnableTerminationProtection", False),
        change_set=found.get("ChangeSetId", ""),
    )


def body(stack: Stack) -> str:
    """Return the stack's template, as it was given."""
    found = aws.client("cloudformation").get_template(StackName=stack.id, TemplateStage="Original")["TemplateBody"]
    # botocore parses a JSON template; JSON is YAML too.
    return found if isinstance(found, str) else json.dumps(found)


def drop(stack: Stack) -> None:
    """Delete an empty stack; there are no events to follow."""
    aws.client("cloudformation").delete_stack(StackName=stack.id, ClientRequestToken=token())
    deadline = time.monotonic() + _DROP_SECONDS
    while (left := describe(stack.id)) and left.status != _GONE:
        pause(deadline, f"{stack.name} is still {left.status}")


def delete(stack: Stack, report: Report) -> None:
    """Delete a stack and follow it to the end; raise StackError with the cause of a failure."""
    after = newest_event(stack)
    aws.client("cloudformation").delete_stack(StackName=stack.id, ClientRequestToken=token())
    follow(stack, after, report, ends=(_GONE,))


def protect(stack: Stack, on: bool) -> None:
    """Have CloudFormation refuse to delete the stack, or not any more."""
    if stack.protected != on:
        aws.client("cloudformation").update_termination_protection(StackName=stack.name, EnableTerminationProtection=on)


def token() -> str:
    """Return a new token: an attempt that repeats a request with it does nothing twice.

    CloudFormation keeps it with the events of the operation, so it says whose that is: the end of an ARN.
    """
    arn = aws.client("sts").get_caller_identity()["Arn"]
    who = re.sub(r"[^a-zA-Z0-9]+", "-", arn.rpartition(":")[2])[:_LONGEST_AUTHOR].strip("-")
    return f"{who}-{uuid.uuid4().hex}"


def author(token: str) -> str:
    """Return whose operation has this token, empty if it isn't one of ours."""
    found = _TOKEN.fullmatch(token)
    return found[1] if found else ""


def physical_ids(stack: Stack) -> dict[str, str]:
    """Return the physical ids of the stack's resources by logical id."""
    return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in _resources(stack)}


def resources(stack: Stack) -> list[Change]:
    """Return what deleting the stack would remove."""
    return [Change(stack.name, "Remove", one["LogicalResourceId"], one["ResourceType"]) for one in _resources(stack)]


def names(stack: Stack, type_: str) -> list[str]:
    """Return the names of the stack's resources of a type."""
    return [one["PhysicalResourceId"] for one in _resources(stack) if one["ResourceType"] == type_]


def settle(stack: Stack, report: Report) -> Stack | None:
    """Wait until no operation is running on the stack, such as an interrupted run's, and describe it again."""
    if not stack.busy:
        return stack
    report(Event(stack.name, stack.name, "AWS::CloudFormation::Stack", stack.status, "waiting for an earlier run"))
    deadline = time.monotonic() + _STACK_SECONDS
    current: Stack | None = stack
    while current and current.busy:
        pause(deadline, f"{stack.name} is still {current.status}")
        current = describe(stack.id)
    return None if current and current.status == _GONE else current


def follow(stack: Stack, after: str, report: Report, ends: Sequence[str]) -> None:
    """Report the events after `after` until the stack is idle; raise StackError unless it is then in one of `ends`."""
    cause: Event | None = None
    for event in _events(stack, after):
        report(event)
        if cause is None and event.causes_failure:
            cause = event
        # The stack's own event ends the wait, not DescribeStacks, which may still give the previous state.
        if event.of_stack and not event.status.endswith("_IN_PROGRESS"):
            if event.status not in ends:
                why = cause or event
                reason = why.reason + invalid(why.reason, StackName=stack.id)
                raise StackError(
                    f"{stack.name} is {event.status}: {why.logical_id} ({why.type}) {why.status}: {reason}"
                    f"{remedies.advice(reason)}"
                )
            return


def invalid(reason: str, **operation: str) -> str:
    """Return CloudFormation's validation errors if the reason refers to them, else an empty text."""
    if "DescribeEvents" not in reason:
        return ""
    pages = aws.client("cloudformation").get_paginator("describe_events").paginate(**operation)
    events = [one for page in pages for one in page["OperationEvents"] if one["EventType"] == "VALIDATION_ERROR"]
    newest = [one for one in events if one.get("OperationId") == events[0].get("OperationId")]
    found = dict.fromkeys(f"{one['LogicalResourceId']}: {one['ValidationStatusReason']}" for one in newest)
    return "".join(f" {one}" for one in found)


def newest_event(stack: Stack) -> str:
    """Return the id of the stack's last event, to follow it from there."""
    events = aws.client("cloudformation").describe_stack_events(StackName=stack.id)["StackEvents"]
    return str(events[0]["EventId"]) if events else ""


def _events(stack: Stack, after: str) -> Iterator[Event]:
    """Yield the events after `after` as they come."""
    deadline = time.monotonic() + _STACK_SECONDS
    while True:
        for item in _events_after(stack, after):
            after = item["EventId"]
            yield Event(
                stack.name,
                item["LogicalResourceId"],
                item["ResourceType"],
                item["ResourceStatus"],
                item.get("ResourceStatusReason", ""),
                of_stack=item.get("PhysicalResourceId") == stack.id,
            )
        pause(deadline, f"{stack.name} is still in progress")


def _events_after(stack: Stack, after: str) -> list[dict[str, Any]]:
    """Return the events after `after`, the oldest first; CloudFormation lists the newest first, page by page."""
    pages = aws.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack.id)
    every = (item for page in pages for item in page["StackEvents"])
    return list(takewhile(lambda item: item["EventId"] != after, every))[::-1]


def _resources(stack: Stack) -> list[dict[str, Any]]:
    pages = aws.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack.id)
    found = [one for page in pages for one in page["StackResourceSummaries"]]
    return [one for one in found if one.get("PhysicalResourceId") and one["ResourceStatus"] != _GONE]


def pause(deadline: float, state: str) -> None:
    """Wait before the next look; raise StackError past the deadline (seconds of the monotonic clock)."""
    if time.monotonic() > deadline:
        raise StackError(
            f"{state} after the maximum wait. AWS continues by itself: run the command again to keep waiting."
        )
    # CloudFormation takes minutes and throttles callers that ask often.
    aws.pause(3)
