"""Deploy, describe and delete the service's stacks, in their order, on AWS or on what AWS_ENDPOINT_URL names."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings

from botsite import aws
from deploy import tags
from deploy.cfn import change_sets, cloudformation, drift, parameters, planning, template
from deploy.cfn.cloudformation import Change, Event, Report, Stack
from deploy.cfn.cloudformation import StackError as StackError  # callers catch stacks.StackError
from deploy.cfn.template import Template
from deploy.images import latest

TEMPLATES = Path(__file__).parent / "cloudformation"
# Each stack may import what those before it export; they are deleted from the end.
ORDER = ("network", "storage", "queue", "bake", "web", "workers", "metrics", "alarms")
DEFAULT_PREFIX = "objdet"
_CHANGE_SET = "provision"
_PREFIX = re.compile(r"[a-z][a-z0-9-]{1,18}[a-z0-9]")
_NEVER_MADE = ("ROLLBACK_COMPLETE", "CREATE_FAILED")
# States that no change set leads out of, and what does.
_WAYS_OUT = {
    "UPDATE_ROLLBACK_FAILED": "Mend the cause, run `aws cloudformation continue-update-rollback --stack-name {name}`, "
    "then this again.",
    "DELETE_FAILED": "An earlier teardown has not finished: run `python manage.py teardown --prefix {prefix}`, then "
    "this again.",
}
_TEARDOWN = (
    "It cannot be updated any more: run `python manage.py teardown --prefix {prefix}`, which deletes what is stored, "
    "then this again."
)


def _silent(event: Event) -> None:
    """Take a report of which nobody wants to hear."""


def provision(
    prefix: str, values: Mapping[str, str] | None = None, report: Report = _silent, parts: Sequence[str] = ORDER
) -> dict[str, str]:
    """Create or update every stack, or those of `parts`, through a change set, then hold all against the templates.

    `values` are parameters of the templates; one that is not given keeps what the stack has, else its default. Safe
    to run again after any interruption. Return for each stack "created", "updated" or "unchanged". Raise StackError
    with the cause and what to do.
    """
    values = values or {}
    templates = _templates(values)
    for part in ORDER:
        # Before anything is changed: what cannot be done to one stack is no place to stop half-way.
        _kept(_ours(prefix, part), templates[part], values)
    done = {name(prefix, part): _deploy(prefix, part, templates[part], values, report) for part in parts}
    deployed = [(existing(prefix, part), templates[part]) for part in ORDER]
    left = drift.settled(deployed)
    if left:
        lines = "\n".join(f"  {one}" for one in left)
        raise StackError(
            "The stacks are deployed, but not all is as their templates say, perhaps because it was changed by hand. "
            f"Set it back, then run this again:\n{lines}"
        )
    return done


def plan(prefix: str, values: Mapping[str, str] | None = None) -> list[Change]:
    """Return what `provision` would change. This reads and compares: it needs no permission to change anything."""
    changes: list[Change] = []
    for text, names in planned(prefix, values):
        part = Path(text.name).stem
        stack = _ours(prefix, part)
        if stack is None or stack.empty or stack.status in _NEVER_MADE:
            changes += planning.additions(name(prefix, part), text, names)
        else:
            names = {**names, **latest.newest(text, {"Prefix": prefix, **(values or {})})}
            before = template.parse(stack.name, cloudformation.body(stack))
            changes += planning.changes(stack.name, before, stack.parameters, text, names)
    return changes


def planned(prefix: str, values: Mapping[str, str] | None = None) -> list[tuple[Template, Mapping[str, str]]]:
    """Return every template with the values that `provision` would give it: given, else kept, else its defaults."""
    found: list[tuple[Template, Mapping[str, str]]] = []
    for part, text in _templates(values or {}).items():
        kept = _kept(_ours(prefix, part), text, values or {})
        found.append((text, text.names({**kept, **(values or {}), "Prefix": prefix})))
    return found


def delete(prefix: str, report: Report = _silent) -> list[str]:
    """Delete every stack, the last first, with all that is in its buckets, and return the names of those deleted.

    Raise StackError, before anything is deleted, if one of the stacks was made by something else.
    """
    deleted = []
    for stack in [_ours(prefix, part) for part in reversed(ORDER)]:
        settled = cloudformation.settle(stack, report) if stack else None
        if settled is None:
            continue
        deleted.append(settled.name)
        if settled.empty:
            cloudformation.drop(settled)
            continue
        for bucket in cloudformation.buckets(settled):
            _empty(bucket)
        cloudformation.delete(settled, report)
    return deleted


def deletions(prefix: str) -> list[Change]:
    """Return what `delete` would remove."""
    found = [_ours(prefix, part) for part in reversed(ORDER)]
    return [one for stack in found if stack for one in cloudformation.resources(stack)]


def name(prefix: str, part: str) -> str:
    """Return the name of the stack for `part` of the service; raise StackError if the prefix cannot begin one."""
    if not _PREFIX.fullmatch(prefix):
        raise StackError(
            f"{prefix!r} cannot begin the names of stacks, buckets and queues: use 3 to 20 lower-case letters, "
            "digits and hyphens, the first a letter, the last no hyphen."
        )
    return f"{prefix}-{part}"


def existing(prefix: str, part: str) -> Stack:
    """Return the stack; raise StackError if it is not deployed."""
    stack = cloudformation.describe(name(prefix, part))
    if stack is None or stack.empty:
        raise StackError(
            f"There is no stack {name(prefix, part)} in {settings.AWS_REGION}. Check --prefix and AWS_REGION, or "
            f"deploy it: python manage.py provision --prefix {prefix}"
        )
    return stack


def _deploy(prefix: str, part: str, text: Template, values: Mapping[str, str], report: Report) -> str:
    """Bring one stack to its template; return "created", "updated" or "unchanged"."""
    stack = _ours(prefix, part)
    stack = cloudformation.settle(stack, report) if stack else None
    if stack and stack.status in _NEVER_MADE:
        # The first deployment failed and was undone. CloudFormation lets such a stack only be deleted.
        cloudformation.delete(stack, report)
        stack = None
    if stack and not stack.empty and not stack.status.endswith("_COMPLETE"):
        way_out = _WAYS_OUT.get(stack.status, _TEARDOWN).format(name=stack.name, prefix=prefix)
        raise StackError(f"{stack.name} is {stack.status}. {way_out}")
    if not _change_set(prefix, part, stack, text, values):
        return "unchanged"
    change_sets.execute(name(prefix, part), _CHANGE_SET, report)
    return "created" if stack is None or stack.empty else "updated"


def _change_set(prefix: str, part: str, stack: Stack | None, text: Template, values: Mapping[str, str]) -> bool:
    given = {"Prefix": prefix} | {key: value for key, value in values.items() if key in text.parameters}
    given |= latest.newest(text, given)
    chosen: list[dict[str, Any]] = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
    kept = _kept(stack, text, given)
    chosen += [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept)]
    return change_sets.create(name(prefix, part), stack, _CHANGE_SET, text.body, chosen, tags.of(prefix))


def _kept(stack: Stack | None, text: Template, given: Mapping[str, str]) -> dict[str, str]:
    """Return the values that a stack keeps: those that are neither given now nor were left to the template's default.

    What was left to a default follows it. Raise StackError for a value that the template no longer takes.
    """
    # A stack in a state without a way forward keeps nothing: `_deploy` says what to do about it.
    if stack is None or stack.empty or not (stack.busy or stack.status.endswith("_COMPLETE")):
        return {}
    before = template.parse(stack.name, cloudformation.body(stack)).parameters
    kept = {}
    for name, value in stack.parameters.items():
        new, old = text.parameters.get(name), before.get(name, {})
        if new is None or name in given or ("Default" in new and value == str(old.get("Default"))):
            continue
        if reason := parameters.wrong(value, new):
            raise StackError(
                f"{stack.name} has {name}={value}, which is no longer possible: it has to be {reason}. Choose a value "
                f"and run this again with --parameter {name}=VALUE. {new['Description']}"
            )
        kept[name] = value
    return kept


def _templates(values: Mapping[str, str]) -> dict[str, Template]:
    """Return the templates in order; raise StackError for a value that none of them takes."""
    templates = {part: template.read(TEMPLATES / f"{part}.yaml") for part in ORDER}
    parameters.check(templates.values(), values)
    return templates


def _empty(bucket: str) -> None:
    """Delete all that a bucket holds: CloudFormation deletes only an empty one."""
    try:
        # Versions, so that a bucket is emptied too on which somebody has turned versioning on.
        aws.s3().Bucket(bucket).object_versions.delete()
    except aws.client("s3").exceptions.NoSuchBucket:
        return


def _ours(prefix: str, part: str) -> Stack | None:
    """Return the stack, None if there is none; raise StackError if something else made it."""
    stack = cloudformation.describe(name(prefix, part))
    if stack and not stack.empty and not tags.of(prefix).items() <= stack.tags.items():
        raise StackError(
            f"The stack {stack.name} was not made by `provision` (it lacks the tags {tags.of(prefix)}), so it is left "
            "alone. Choose another --prefix."
        )
    return stack
