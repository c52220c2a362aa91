"""Deploy, plan and delete the service's stacks, in order."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from botsite import aws, roles
from deploy import background
from deploy.cfn import change_sets, cloudformation, drift, parameters, planning, template
from deploy.cfn.cloudformation import Change, Event, Report, Stack
from deploy.cfn.cloudformation import StackError as StackError  # callers catch stacks.StackError
from deploy.cfn.drift import Comparison
from deploy.cfn.template import Template
from deploy.service import Service

TEMPLATES = Path(__file__).parent / "cloudformation"
# All that a bake needs; no stack among them starts an instance.
BEFORE_ROLES = ("network", "storage", "queue", "bake")
_CHANGE_SET = "provision"
# A table that changes can't be deleted.
_CHANGED = {"Delay": 2, "MaxAttempts": 60}
# The part that holds what can't be made again.
_STORED = "storage"
_NEVER_MADE = ("ROLLBACK_COMPLETE", "CREATE_FAILED")
# States that no change set leads out of, and what does.
_WAYS_OUT = {
    "UPDATE_ROLLBACK_FAILED": "Fix the cause, run `aws cloudformation continue-update-rollback --stack-name {name}`, "
    "then run this again.",
    "DELETE_FAILED": "An earlier teardown didn't finish: run `python manage.py teardown --prefix {service}`, then "
    "run this again.",
}
_TEARDOWN = (
    "It can't be updated any more: run `python manage.py teardown --prefix {service}`, which deletes what is stored, "
    "then run this again."
)


def order() -> tuple[str, ...]:
    """Return the parts of the service; each may import what those before it export, and is deleted before them."""
    return (*BEFORE_ROLES, *(role.part for role in roles.ROLES), "alarms")


def find_all(service: Service) -> dict[str, Stack | None]:
    """Ask for all stacks at once; return each by its part, None if it doesn't exist."""
    asked = {part: background.start(partial(service.find, part)) for part in order()}
    return {part: one.result() for part, one in asked.items()}


def complete(service: Service) -> dict[str, Stack]:
    """Return each stack by its part; raise StackError if one is missing."""
    found = {part: stack for part, stack in find_all(service).items() if stack and not stack.empty}
    if missing := [service.stack_name(part) for part in order() if part not in found]:
        raise StackError(f"{', '.join(missing)} missing: python manage.py provision --prefix {service}")
    return found


def silent(event: Event) -> None:
    """Ignore an event."""


def provision(
    service: Service, values: Mapping[str, str] | None = None, report: Report = silent, parts: Sequence[str] = ()
) -> dict[str, str]:
    """Create or update the stacks of `parts`, or all, by change sets.

    `values` are template parameters; one that isn't given keeps the stack's value, else the default. Safe to run again
    after any interruption. Return "created", "updated" or "unchanged" by stack name. Raise StackError with the cause
    and what to do.
    """
    values, parts = values or {}, parts or order()
    templates = _templates(values)
    for part in order():
        # Before any change: a value that one stack refuses must not stop the run halfway.
        _kept(_ours(service, part), templates[part], values)
    done = {service.stack_name(part): _deploy(service, part, templates[part], values, report) for part in parts}
    if _STORED in parts:
        cloudformation.protect(service.stack(_STORED), on=True)
    return done


def set_value(service: Service, part: str, name: str, value: str, report: Report = silent) -> None:
    """Change one parameter of a deployed stack and nothing else: its template and its other values stay.

    Raise StackError if the stack can't be updated.
    """
    service.stack(part)
    stack = _ours(service, part)
    stack = cloudformation.settle(stack, report) if stack else None
    if stack is None:
        raise StackError(f"{service.stack_name(part)} is gone: something else deleted it in the meantime.")
    _updatable(service, stack)
    given: list[dict[str, Any]] = [{"ParameterKey": name, "ParameterValue": value}]
    given += [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(stack.parameters) if key != name]
    body = cloudformation.body(stack)
    if made := change_sets.create(stack.name, stack, _CHANGE_SET, body, given, service.tags()):
        change_sets.execute(stack.name, made, report)


def find_drift(service: Service, report: Report = silent) -> Comparison:
    """Compare the live settings of all stacks with the templates, which takes CloudFormation some minutes.

    Raise StackError if a stack is missing.
    """
    return drift.detect([service.stack(part) for part in order()], report)


def plan(service: Service, values: Mapping[str, str] | None = None) -> list[Change]:
    """Return what `provision` would change. This only reads, so read permissions are enough."""
    changes: list[Change] = []
    for text, names in planned(service, values):
        part = Path(text.name).stem
        stack = _ours(service, part)
        if stack is None or stack.empty or stack.status in _NEVER_MADE:
            changes += planning.additions(service.stack_name(part), text, names)
        else:
            before = template.parse(stack.name, cloudformation.body(stack))
            changes += planning.changes(stack.name, before, stack.parameters, text, names)
    return changes


def planned(service: Service, given: Mapping[str, str] | None = None) -> list[tuple[Template, Mapping[str, str]]]:
    """Return each template with the values that `provision` would give it."""
    texts = _templates(given or {})
    return [(text, _values(service, part, text, given or {})) for part, text in texts.items()]


def check(given: Mapping[str, str]) -> None:
    """Raise StackError for a value that none of the templates takes; AWS is not asked."""
    _templates(given)


def values(service: Service, part: str, given: Mapping[str, str]) -> Mapping[str, str]:
    """Return the values that `provision` would give one stack: given now, else kept, else the defaults."""
    return _values(service, part, _templates(given)[part], given)


def _values(service: Service, part: str, text: Template, given: Mapping[str, str]) -> Mapping[str, str]:
    kept = _kept(_ours(service, part), text, given)
    return text.names({**kept, **given, "Prefix": service.prefix})


def delete(service: Service, report: Report = silent) -> list[str]:
    """Delete every stack, the last first, with its buckets' contents and protected table; return the deleted names.

    Raise StackError, before anything is deleted, if somebody else made one of them.
    """
    deleted = []
    for stack in [_ours(service, part) for part in reversed(order())]:
        settled = cloudformation.settle(stack, report) if stack else None
        if settled is None:
            continue
        deleted.append(settled.name)
        if settled.empty:
            cloudformation.drop(settled)
            continue
        for bucket in cloudformation.names(settled, "AWS::S3::Bucket"):
            _empty(bucket)
        lift_protection(settled)
        cloudformation.delete(settled, report)
    return deleted


def deletions(service: Service) -> list[Change]:
    """Return what `delete` would remove."""
    found = [_ours(service, part) for part in reversed(order())]
    return [one for stack in found if stack for one in cloudformation.resources(stack)]


def _deploy(service: Service, part: str, text: Template, values: Mapping[str, str], report: Report) -> str:
    """Bring one stack up to its template; return "created", "updated" or "unchanged"."""
    stack = _ours(service, part)
    stack = cloudformation.settle(stack, report) if stack else None
    if stack and stack.status in _NEVER_MADE:
        # The first deployment failed and was rolled back. CloudFormation only lets such a stack be deleted.
        cloudformation.delete(stack, report)
        stack = None
    if stack and not stack.empty:
        _updatable(service, stack)
    if not (made := _change_set(service, part, stack, text, values)):
        return "unchanged"
    change_sets.execute(service.stack_name(part), made, report)
    return "created" if stack is None or stack.empty else "updated"


def _updatable(service: Service, stack: Stack) -> None:
    if not stack.status.endswith("_COMPLETE"):
        way_out = _WAYS_OUT.get(stack.status, _TEARDOWN).format(name=stack.name, service=service)
        raise StackError(f"{stack.name} is {stack.status}. {way_out}")


def _change_set(service: Service, part: str, stack: Stack | None, text: Template, values: Mapping[str, str]) -> str:
    given = {key: value for key, value in values.items() if key in text.parameters} | {"Prefix": service.prefix}
    chosen: list[dict[str, Any]] = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
    kept = _kept(stack, text, given)
    chosen += [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept)]
    return change_sets.create(service.stack_name(part), stack, _CHANGE_SET, text.body, chosen, service.tags())


def _kept(stack: Stack | None, text: Template, given: Mapping[str, str]) -> dict[str, str]:
    """Return the values that a stack keeps: those not given now, and not left to the template's default before.

    What was left to a default follows it. Raise StackError for a value that the template no longer takes.
    """
    # A stack that can't be updated keeps nothing; `_deploy` says what to do about it.
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
                f"{stack.name} has {name}={value}, which is no longer allowed: it has to be {reason}. Choose a value "
                f"and run this again with --parameter {name}=VALUE. {new['Description']}"
            )
        kept[name] = value
    return kept


def _templates(values: Mapping[str, str]) -> dict[str, Template]:
    """Return the templates in order; raise StackError for a value that none of them takes."""
    templates = {part: template.read(TEMPLATES / f"{part}.yaml") for part in order()}
    parameters.check(templates.values(), values)
    return templates


def _empty(bucket: str) -> None:
    """Delete everything in a bucket: CloudFormation only deletes an empty one."""
    try:
        # Versions, in case somebody has turned versioning on.
        aws.s3().Bucket(bucket).object_versions.delete()
    except aws.client("s3").exceptions.NoSuchBucket:
        return


def _ours(service: Service, part: str) -> Stack | None:
    """Return the stack, None if it doesn't exist; raise StackError if somebody else made it."""
    stack = service.find(part)
    if stack and not stack.empty and not service.tags().items() <= stack.tags.items():
        raise StackError(
            f"The stack {stack.name} was not made by `provision` (it lacks the tags {service.tags()}), so it is left "
            "alone. Choose another --prefix."
        )
    return stack


def lift_protection(stack: Stack) -> None:
    """Let the stack and its tables be deleted."""
    cloudformation.protect(stack, on=False)
    dynamodb = aws.client("dynamodb")
    for name in cloudformation.names(stack, "AWS::DynamoDB::Table"):
        try:
            if dynamodb.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled"):
                dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
                dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig=_CHANGED)
        except dynamodb.exceptions.ResourceNotFoundException:
            continue
