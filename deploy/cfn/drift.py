"""Have CloudFormation compare the live settings with the templates, so that manual changes are detected."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botsite import aws
from deploy.cfn import cloudformation, hold, template
from deploy.cfn.cloudformation import Event, Report, Stack

# API_DetectStackDrift: "can take up to several minutes" for a stack. All stacks are compared at once.
_SECONDS = 15 * 60
_MINIMUM = ("AWS::AutoScaling::AutoScalingGroup", "/MinSize")


@dataclass
class Comparison:
    """What CloudFormation has found; each of `differences` says where, what the template wants, and what is live.

    `compared` counts properties. `skipped` has, by type, the properties that were not compared, none for a type that
    CloudFormation can't read at all. It has not finished with the stacks in `unfinished`.
    """

    differences: list[str] = field(default_factory=list)
    compared: int = 0
    skipped: dict[str, set[str]] = field(default_factory=dict)
    unfinished: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return how much was compared, and what was not, a sentence each."""
        found = [f"CloudFormation compared {self.compared} live settings with the templates."]
        if not self.differences:
            found = [f"The live settings match the templates in all {self.compared} properties that were compared."]
        if self.skipped:
            found.append(f"Not compared: {', '.join(_named(*one) for one in sorted(self.skipped.items()))}.")
        if self.unfinished:
            found.append(
                f"CloudFormation is still comparing {', '.join(self.unfinished)} after {_SECONDS // 60} minutes: look "
                "again later with `python manage.py doctor --drift`."
            )
        return found


def detect(stacks: Sequence[Stack], report: Report) -> Comparison:
    """Compare the stacks' resources with their templates and report each stack that is done; AWS takes minutes."""
    client, found = aws.client("cloudformation"), Comparison()
    running = {client.detect_stack_drift(StackName=one.id)["StackDriftDetectionId"]: one for one in stacks}
    deadline = time.monotonic() + _SECONDS
    while True:
        for detection, stack in list(running.items()):
            answer = client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
            if (status := answer["DetectionStatus"]) != "DETECTION_IN_PROGRESS":
                del running[detection]
                _add(stack, found)
                reason = answer.get("DetectionStatusReason", f"{len(stacks) - len(running)} of {len(stacks)} compared")
                report(Event(stack.name, stack.name, "AWS::CloudFormation::Stack", status, reason))
        if not running or time.monotonic() > deadline:
            found.unfinished = [one.name for one in running.values()]
            return found
        aws.pause(5)


def _add(stack: Stack, found: Comparison) -> None:
    """Add what was found in a stack. What could not be read is missing in CloudFormation's list, or UNKNOWN."""
    text = template.parse(stack.name, cloudformation.body(stack))
    names, drifts = text.names(stack.parameters), {one["LogicalResourceId"]: one for one in _drifts(stack)}
    for logical_id, resource in text.resources(names).items():
        drift = drifts.get(logical_id, {})
        match drift.get("StackResourceDriftStatus"):
            case "DELETED":
                found.differences.append(f"{stack.name} {logical_id} ({resource['Type']}) is gone")
            case "IN_SYNC" | "MODIFIED":
                expected = json.loads(drift["ExpectedProperties"])
                found.compared += len(expected)
                found.differences += _differences(stack.name, drift)
                if left := text.resolve(resource["Properties"], names).keys() - expected.keys():
                    found.skipped.setdefault(resource["Type"], set()).update(left)
            case _:
                found.skipped.setdefault(resource["Type"], set())


def _drifts(stack: Stack) -> Iterator[Mapping[str, Any]]:
    """Yield the newest result for each resource; botocore has no paginator for them."""
    more: dict[str, str] | None = {}
    while more is not None:
        page = aws.client("cloudformation").describe_stack_resource_drifts(StackName=stack.id, **more)
        yield from page["StackResourceDrifts"]
        more = {"NextToken": page["NextToken"]} if "NextToken" in page else None


def _differences(stack: str, drift: Mapping[str, Any]) -> Iterator[str]:
    resource = f"{stack} {drift['LogicalResourceId']} ({drift['ResourceType']})"
    for one in drift.get("PropertyDifferences", []):
        if not _held(drift, one):
            path = one["PropertyPath"].removeprefix("/")
            yield f"{resource} {path}: {one['ExpectedValue']} in the template, {one['ActualValue']} live"


def _held(drift: Mapping[str, Any], difference: Mapping[str, str]) -> bool:
    """Return whether this is the minimum that an operator gives a group for a while (`scale`): the one expected."""
    if (drift["ResourceType"], difference["PropertyPath"]) != _MINIMUM:
        return False
    maximum = int(json.loads(drift["ActualProperties"])["MaxSize"])
    before = hold.intended(drift["PhysicalResourceId"], int(difference["ActualValue"]), maximum)
    return before == int(difference["ExpectedValue"])


def _named(type_: str, properties: set[str]) -> str:
    name = type_.removeprefix("AWS::")
    return f"{name} ({', '.join(sorted(properties))})" if properties else name
