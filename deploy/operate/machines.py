"""The machines by role: how many, how old, from which image, how healthy."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from botsite import aws, roles
from botsite.roles import Role
from deploy import background, rollback
from deploy.cfn import hold, remedies
from deploy.cfn.hold import Hold
from deploy.doctor.failures import not_known
from deploy.images import ami
from deploy.images.ami import Image
from deploy.service import Service
from metrics import cloudwatch
from metrics.cloudwatch import Group
from metrics.health.findings import Finding, failed, known, ok, unknown, unless_emulated, warning
from metrics.health.words import span

# A status is one screen.
_LISTED = 5
_FACTS_SECONDS = 2.0


@dataclass(frozen=True)
class MachineFacts:
    """A machine of a role; what EC2 doesn't tell is None. `image` is the version that was baked, or the AMI's id."""

    id: str
    state: str
    healthy: bool
    age_seconds: float | None
    image: str | None


def read_machines(service: Service) -> Finding[Any]:
    """Ask for the groups, and for what EC2 knows of their machines; without the latter, the former are shown."""
    groups = cloudwatch.groups(*(role.group(service) for role in roles.ROLES))
    ids = [one.id for group in groups.values() for one in group.instances]
    asked: dict[str, background.Read] = {
        "machines": lambda: known(_described(ids)),
        "images": lambda: known(_images(service)),
        "holds": lambda: known({role.name: hold.read(role.group(service)) for role in roles.ROLES if not role.always}),
    }
    if short := [name for name, group in groups.items() if group.in_service < group.desired]:
        asked["failures"] = lambda: known({name: cloudwatch.last_failure(name) for name in short})
    facts = background.gather(asked, _FACTS_SECONDS, not_known)
    return list_machines({role: groups.get(role.group(service)) for role in roles.ROLES}, facts, datetime.now(UTC))


def list_machines(
    groups: Mapping[Role, Group | None], facts: Mapping[str, Finding[Any]], now: datetime
) -> Finding[Any]:
    """Return the groups with their machines, and a line for each reason why something about them is not known."""
    data: dict[str, object] = {}
    lines: list[Finding[Any]] = []
    baked: Mapping[str, tuple[str, str]] = facts["images"].data or {}
    holds: Mapping[str, Hold | None] = facts["holds"].data or {}
    failures: Mapping[str, str] = (facts["failures"].data or {}) if "failures" in facts else {}
    for role, group in groups.items():
        machines = [_machine(one, facts["machines"].data or {}, now) for one in group.instances] if group else []
        newest, rolled_back = baked.get(role.name, ("", ""))
        held = holds.get(role.name)
        data[role.name] = (
            _data(group, machines)
            | ({"rolled_back": rolled_back} if rolled_back else {})
            | ({"held": asdict(held)} if held else {})
        )
        lines += _lines(role, group, machines, newest)
        if group and (why := failures.get(group.name)):
            lines.append(failed(f"  EC2 says: {why}{remedies.advice(why)}"))
        lines += [warning(f"  {note}") for note in (rolled_back, held) if note]
    reasons = {name: one.seen for name, one in facts.items() if not one.known and any(groups.values())}
    lines += [unknown(f"  their {_CALLED[name]}: {reason}") for name, reason in reasons.items()]
    first, *more = lines
    return replace(first, data=data | ({"not_known": reasons} if reasons else {})).with_more(*more)


_CALLED = {
    "machines": "age and image",
    "images": "newest images",
    "holds": "minimum by hand",
    "failures": "last failure",
}


def _described(ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what EC2 says of the machines by id, with the version of their image."""
    if not ids:
        return {}
    ec2 = aws.client("ec2")
    # By filter: for an id that EC2 doesn't know any more it would refuse to say anything.
    pages = ec2.get_paginator("describe_instances").paginate(Filters=[{"Name": "instance-id", "Values": list(ids)}])
    found = [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]
    if not found:
        unless_emulated("the local AWS launches no machines: processes of this computer stand in for them")
    wanted = [{"Name": "image-id", "Values": sorted({one["ImageId"] for one in found})}]
    images = ec2.describe_images(Filters=wanted)["Images"] if found else []
    versions = {image["ImageId"]: ami.version(image) or image["ImageId"] for image in images}
    return {one["InstanceId"]: one | {"Version": versions.get(one["ImageId"], one["ImageId"])} for one in found}


def _images(service: Service) -> dict[str, tuple[str, str]]:
    """Return, by the role's name, the version of its newest image and a sentence if it was rolled back."""
    found = ami.by_role(service)
    if not found:
        unless_emulated("the local AWS bakes no images")
    baked = {role.name: found[role.short] for role in roles.ROLES if role.short in found}
    return {name: (_newest(images), rollback.told(name, images)) for name, images in baked.items()}


def _newest(images: Sequence[Image]) -> str:
    return next((image.version for image in images if not image.withdrawn), "")


def _machine(listed: cloudwatch.Instance, described: Mapping[str, dict[str, Any]], now: datetime) -> MachineFacts:
    facts = described.get(listed.id, {})
    age = (now - facts["LaunchTime"]).total_seconds() if "LaunchTime" in facts else None
    return MachineFacts(listed.id, listed.state, listed.healthy, age, facts.get("Version"))


def _data(group: Group | None, machines: Sequence[MachineFacts]) -> dict[str, object]:
    if group is None:
        return {"missing": True}
    counts = {"desired": group.desired, "running": group.in_service, "minimum": group.minimum, "maximum": group.maximum}
    return {**counts, "suspended": list(group.suspended), "machines": [asdict(one) for one in machines]}


def _lines(role: Role, group: Group | None, machines: Sequence[MachineFacts], newest: str) -> list[Finding[Any]]:
    if group is None:
        return [failed(f"{role.name:<15} its group is gone: run `manage.py provision`")]
    text = f"{role.name:<15} {group.in_service} running of {group.desired} wanted, at most {group.maximum}"
    lines = [warning(text) if group.in_service < group.desired else ok(text)]
    if group.suspended:
        lines.append(failed(f"  suspended: {', '.join(group.suspended)}"))
    lines += [_line(one, newest) for one in machines[:_LISTED]]
    return lines + ([ok(f"  and {len(machines) - _LISTED} more")] if len(machines) > _LISTED else [])


def _line(machine: MachineFacts, newest: str) -> Finding[Any]:
    parts = [machine.id, machine.state, "healthy" if machine.healthy else "unhealthy"]
    if machine.age_seconds is not None:
        parts.append(span(machine.age_seconds))
    old = bool(newest and machine.image and machine.image != newest)
    if machine.image:
        parts.append(f"image {machine.image}" + (f", the newest is {newest}" if old else ""))
    text = "  " + "  ".join(parts)
    if not machine.healthy:
        return failed(text)
    return warning(text) if old else ok(text)
