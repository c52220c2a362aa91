"""The machines by role: how many, how old, from which image, how healthy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from botsite import aws, roles
from botsite.roles import Role
from botsite.staff.sources import Reading
from deploy import rollback
from deploy.cfn import hold
from deploy.cfn.hold import Hold
from deploy.images import ami
from deploy.images.ami import Image
from deploy.operate import readings, seen
from deploy.operate.readings import NotKnownHere
from deploy.operate.seen import Line, Mark, Seen
from deploy.service import Service
from metrics import cloudwatch
from metrics.cloudwatch import Group

# A status is one screen.
_LISTED = 5
_FACTS_SECONDS = 2.0


@dataclass(frozen=True)
class Machine:
    """A machine of a role; what EC2 doesn't tell is None. `image` is the version that was baked, or the AMI's id."""

    id: str
    state: str
    healthy: bool
    age_seconds: float | None
    image: str | None


def read(service: Service) -> Seen:
    """Ask for the groups, and for what EC2 knows of their machines; without the latter, the former are shown."""
    groups = cloudwatch.groups(*(role.group(service) for role in roles.ROLES))
    ids = [one.id for group in groups.values() for one in group.instances]
    asked: dict[str, Callable[[], Any]] = {
        "machines": partial(_described, ids),
        "images": partial(_images, service),
        "holds": lambda: {role.name: hold.read(role.group(service)) for role in roles.ROLES if not role.always},
    }
    facts = readings.read(asked, _FACTS_SECONDS)
    return judge({role: groups.get(role.group(service)) for role in roles.ROLES}, facts, datetime.now(UTC))


def judge(groups: Mapping[Role, Group | None], facts: Mapping[str, Reading[Any]], now: datetime) -> Seen:
    """Return the groups with their machines, and a line for each reason why something about them is not known."""
    data: dict[str, object] = {}
    lines: list[Line] = []
    baked: Mapping[str, tuple[str, str]] = facts["images"].value or {}
    holds: Mapping[str, Hold | None] = facts["holds"].value or {}
    for role, group in groups.items():
        machines = [_machine(one, facts["machines"].value or {}, now) for one in group.instances] if group else []
        newest, rolled_back = baked.get(role.name, ("", ""))
        held = holds.get(role.name)
        data[role.name] = (
            _data(group, machines)
            | ({"rolled_back": rolled_back} if rolled_back else {})
            | ({"held": asdict(held)} if held else {})
        )
        lines += _lines(role, group, machines, newest)
        lines += [Line(f"  {note}", Mark.NOTE) for note in (rolled_back, held) if note]
    reasons = {name: one.reason for name, one in facts.items() if not one.known and any(groups.values())}
    lines += [Line(f"  their {_CALLED[name]}: {reason}", Mark.UNKNOWN) for name, reason in reasons.items()]
    return Seen(data | ({"not_known": reasons} if reasons else {}), tuple(lines))


_CALLED = {"machines": "age and image", "images": "newest images", "holds": "minimum by hand"}


def _described(ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what EC2 says of the machines by id, with the version of their image."""
    if not ids:
        return {}
    ec2 = aws.client("ec2")
    # By filter: for an id that EC2 doesn't know any more it would refuse to say anything.
    pages = ec2.get_paginator("describe_instances").paginate(Filters=[{"Name": "instance-id", "Values": list(ids)}])
    found = [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]
    if not found and aws.emulated():
        raise NotKnownHere("the local AWS launches no machines: processes of this computer stand in for them")
    wanted = [{"Name": "image-id", "Values": sorted({one["ImageId"] for one in found})}]
    images = ec2.describe_images(Filters=wanted)["Images"] if found else []
    versions = {image["ImageId"]: ami.version(image) or image["ImageId"] for image in images}
    return {one["InstanceId"]: one | {"Version": versions.get(one["ImageId"], one["ImageId"])} for one in found}


def _images(service: Service) -> dict[str, tuple[str, str]]:
    """Return, by the role's name, the version of its newest image and a sentence if it was rolled back."""
    found = ami.by_role(service)
    if not found and aws.emulated():
        raise NotKnownHere("the local AWS bakes no images")
    baked = {role.name: found[role.short] for role in roles.ROLES if role.short in found}
    return {name: (_newest(images), rollback.told(name, images)) for name, images in baked.items()}


def _newest(images: Sequence[Image]) -> str:
    return next((image.version for image in images if not image.withdrawn), "")


def _machine(listed: cloudwatch.Instance, described: Mapping[str, dict[str, Any]], now: datetime) -> Machine:
    facts = described.get(listed.id, {})
    age = (now - facts["LaunchTime"]).total_seconds() if "LaunchTime" in facts else None
    return Machine(listed.id, listed.state, listed.healthy, age, facts.get("Version"))


def _data(group: Group | None, machines: Sequence[Machine]) -> dict[str, object]:
    if group is None:
        return {"missing": True}
    counts = {"desired": group.desired, "running": group.in_service, "minimum": group.minimum, "maximum": group.maximum}
    return {**counts, "suspended": list(group.suspended), "machines": [asdict(one) for one in machines]}


def _lines(role: Role, group: Group | None, machines: Sequence[Machine], newest: str) -> list[Line]:
    if group is None:
        return [Line(f"{role.name:<15} its group is gone: run `manage.py provision`", Mark.BAD)]
    text = f"{role.name:<15} {group.in_service} running of {group.desired} wanted, at most {group.maximum}"
    short = group.in_service < group.desired
    lines = [Line(text, Mark.NOTE if short else Mark.OK)]
    if group.suspended:
        lines.append(Line(f"  suspended: {', '.join(group.suspended)}", Mark.BAD))
    lines += [_line(one, newest) for one in machines[:_LISTED]]
    return lines + ([Line(f"  and {len(machines) - _LISTED} more")] if len(machines) > _LISTED else [])


def _line(machine: Machine, newest: str) -> Line:
    parts = [machine.id, machine.state, "healthy" if machine.healthy else "unhealthy"]
    if machine.age_seconds is not None:
        parts.append(seen.age(timedelta(seconds=machine.age_seconds)))
    old = bool(newest and machine.image and machine.image != newest)
    if machine.image:
        parts.append(f"image {machine.image}" + (f", the newest is {newest}" if old else ""))
    mark = Mark.OK if machine.healthy else Mark.BAD
    return Line("  " + "  ".join(parts), Mark.NOTE if old and machine.healthy else mark)
