"""Compare live settings with the templates, so that manual changes are detected."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botsite import aws
from deploy.cfn import cloudformation, live
from deploy.cfn.cloudformation import Stack
from deploy.cfn.live import machines
from deploy.cfn.template import Template

# S3 and DynamoDB may return the previous settings for some seconds after a change.
_SETTLING_SECONDS = 60


@dataclass(frozen=True)
class Difference:
    """A property that differs from its template; `expected` and `actual` are in the template's form."""

    stack: str
    logical_id: str
    type: str
    physical_id: str
    property: str
    expected: Any
    actual: Any

    def __str__(self) -> str:
        return (
            f"{self.stack} {self.logical_id} ({self.type}) {self.property}: "
            f"{json.dumps(self.expected)} in the template, {json.dumps(self.actual, default=str)} live"
        )


@dataclass
class Comparison:
    """Every property in the templates: it differs, is as written, or can't be told, as nothing gives it back.

    The last two are texts: stack, resource, property.
    """

    differences: list[Difference] = field(default_factory=list)
    verified: list[str] = field(default_factory=list)
    unverified: list[str] = field(default_factory=list)


def compare(deployed: Sequence[tuple[Stack, Template]]) -> Comparison:
    """Compare every property with what `live.READERS` can read; the templates may refer to each other's exports."""
    exports = {f"{stack.name}-{output}": value for stack, _ in deployed for output, value in stack.outputs.items()}
    found = Comparison()
    for stack, template in deployed:
        _compare_stack(stack, template, exports, found)
    return found


def differences(deployed: Sequence[tuple[Stack, Template]]) -> list[Difference]:
    """Return every property that can be read and that differs from the template."""
    return compare(deployed).differences


def settled(deployed: Sequence[tuple[Stack, Template]]) -> list[Difference]:
    """Return the differences that remain once AWS has had time to show a change."""
    deadline = time.monotonic() + aws.lag(_SETTLING_SECONDS)
    while (found := differences(deployed)) and time.monotonic() < deadline:
        time.sleep(5)
    return found


def _compare_stack(stack: Stack, template: Template, exports: Mapping[str, str], found: Comparison) -> None:
    physical = cloudformation.physical_ids(stack)
    names = {**exports, **_names(stack, template, physical)}
    for logical_id, resource in template.resources(names).items():
        type_, id_ = resource["Type"], physical.get(logical_id)
        written = template.resolve(resource.get("Properties", {}), names)
        actual = live.READERS[type_](id_, written) if type_ in live.READERS and id_ else {}
        for key, expected in written.items():
            if key in actual and not covers(actual[key], expected):
                where = (stack.name, logical_id, type_, id_ or "", key)
                found.differences.append(Difference(*where, expected, actual[key]))
                continue
            unknown = list(_unknown(expected, key)) if key in actual else [key]
            found.unverified += [f"{stack.name} {logical_id} {path}" for path in unknown]
            if key not in unknown:
                found.verified.append(f"{stack.name} {logical_id} {key}")


def _unknown(expected: Any, path: str) -> Iterator[str]:
    """Yield the parts of a property that `covers` can't judge, since they depend on something unknown here."""
    if isinstance(expected, Mapping):
        if _is_function(expected):
            yield path
        else:
            for key, inner in expected.items():
                yield from _unknown(inner, f"{path}.{key}")
    elif isinstance(expected, list):
        for number, inner in enumerate(expected):
            yield from _unknown(inner, f"{path}.{number}")


def _names(stack: Stack, template: Template, physical: Mapping[str, str]) -> dict[str, str]:
    """Return the values that the template may refer to. An ARN is compared by its last part, the resource's name."""
    partition, _, region, account = stack.id.split(":")[1:5]
    pseudo = {"AWS::Partition": partition, "AWS::Region": region, "AWS::AccountId": account}
    arns = {f"{logical_id}.Arn": live.last_part(value) for logical_id, value in physical.items()}
    groups = {f"{logical_id}.GroupId": value for logical_id, value in physical.items() if value.startswith("sg-")}
    versions = {
        f"{logical_id}.LatestVersionNumber": machines.latest_version(value)
        for logical_id, value in physical.items()
        if value.startswith("lt-")
    }
    return {
        **template.names(stack.parameters),
        **pseudo,
        **physical,
        **arns,
        **groups,
        **versions,
        "AWS::StackName": stack.name,
    }


def covers(actual: Any, expected: Any) -> bool:
    """Return whether `actual` contains all of `expected`: services add fields, and order lists in their own way.

    A value that depends on something unknown here (a function remains in `expected`) counts as equal.
    """
    if isinstance(expected, Mapping) and _is_function(expected):
        return True
    if isinstance(expected, Mapping):
        return isinstance(actual, Mapping) and all(covers(actual.get(key), expected[key]) for key in expected)
    if isinstance(expected, list):
        return (
            isinstance(actual, list)
            and len(actual) == len(expected)
            and all(any(covers(one, wanted) for one in actual) for wanted in expected)
        )
    return _value(actual) == _value(expected)


def _is_function(expected: Mapping[str, Any]) -> bool:
    return any(key == "Ref" or key.startswith("Fn::") for key in expected)


def _value(one: Any) -> float | str:
    """Return a number or a text: templates and services write numbers and booleans in different types."""
    text = str(one).lower()
    try:
        return float(text)
    except ValueError:
        return text
