"""Check the instances: as many as desired, of the newest image, and healthy at the load balancer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botsite import aws, roles
from botsite.roles import POLYBOT, Role
from deploy.doctor.findings import Verdict, failed, ok, unknown, warning, worst
from deploy.images import ami, rollout
from deploy.images.ami import Image
from deploy.service import Service
from metrics import cloudwatch

# Amazon Linux and Debian publish fixes of vulnerabilities every week.
_RECENT_DAYS = 30


@dataclass(frozen=True)
class Group:
    """An Auto Scaling group. `outdated` are instances of an older launch template; `suspended` are processes."""

    name: str
    desired: int
    maximum: int
    healthy: int
    outdated: tuple[str, ...] = ()
    suspended: tuple[str, ...] = ()


def capacity(service: Service) -> Verdict:
    """Compare the desired and the healthy instances of each group."""
    return worst([judge_capacity(_read(rollout.group(service, role)), aws.emulated()) for role in roles.ROLES])


def judge_capacity(group: Group, emulated: bool) -> Verdict:
    """Judge one group."""
    seen = f"{group.name} wants {group.desired} instances and has {group.healthy} in service"
    if group.suspended:
        resume = f"aws autoscaling resume-processes --auto-scaling-group-name {group.name}"
        return failed(f"{group.name} has suspended processes: {', '.join(group.suspended)}", f"Run: {resume}")
    if group.healthy >= group.desired:
        return ok(seen)
    if emulated and not group.healthy:
        return unknown("the emulator launches no instances: what runs here is not in its groups")
    return warning(
        seen,
        f"A new instance takes some minutes. If this persists, aws autoscaling describe-scaling-activities "
        f"--auto-scaling-group-name {group.name} tells why EC2 launches none.",
    )


def targets(service: Service) -> Verdict:
    """Ask the load balancer which sites are healthy."""
    arn = service.output("web", "TargetGroupArn")
    found = aws.client("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    return judge_targets({one["Target"]["Id"]: one["TargetHealth"]["State"] for one in found}, service)


def judge_targets(states: Mapping[str, str], service: Service) -> Verdict:
    """Judge the states of the sites, of which two should be healthy."""
    healthy = sum(state == "healthy" for state in states.values())
    seen = "sites: " + (", ".join(f"{name} {state}" for name, state in sorted(states.items())) or "none")
    group, logs = POLYBOT.group(service), POLYBOT.log_group(service)
    todo = f"The group {group} replaces a site that stays unhealthy; logs are in {logs}."
    if healthy >= POLYBOT.always:
        return ok(seen)
    return warning(seen, todo) if healthy else failed(f"{seen}: updates are not received", todo)


def images(service: Service) -> Verdict:
    """Check that launch templates have the newest image, a recent one, and instances the newest launch template."""
    return worst([_image(service, role) for role in roles.ROLES])


def _image(service: Service, role: Role) -> Verdict:
    newest = ami.newest(service, role.short)
    if newest is None and aws.emulated():
        return unknown("no image was baked here: the emulator bakes none")
    name = rollout.group(service, role)
    current = judge_image(role.short, _template(name)["ImageId"], newest.id if newest else "", _read(name))
    return worst([current, judge_age(role.short, newest, datetime.now(UTC))]) if newest else current


def judge_age(role: str, newest: Image, now: datetime) -> Verdict:
    """Judge how old the packages of an image are."""
    age = newest.age(now)
    if age is None or age.days <= _RECENT_DAYS:
        return ok(f"the image of {role} is recent")
    todo = "Bake all again, with today's packages: python manage.py provision --rebake"
    return warning(f"the image of {role} is {age.days} days old", todo)


def judge_image(role: str, started: str, newest: str, group: Group) -> Verdict:
    """Judge the image of a launch template and the instances of its group."""
    if not newest:
        return failed(f"{role} has no image", f"Run: python manage.py bake_ami {role}")
    if started != newest:
        return warning(
            f"new instances of {role} start from {started}, but the newest image is {newest}",
            "Run `manage.py provision`.",
        )
    if group.outdated:
        return warning(
            f"{', '.join(group.outdated)} of {role} have an older launch template",
            "`manage.py provision` replaces them, one after the other; if that is under way, wait.",
        )
    return ok(f"{role} starts from the newest image")


def _read(name: str) -> Group:
    group = _described(name)
    healthy = sum(one.state == "InService" and one.healthy for one in group.instances)
    return Group(name, group.desired, group.maximum, healthy, tuple(rollout.outdated(name)), group.suspended)


def _described(name: str) -> cloudwatch.Group:
    group = cloudwatch.groups(name).get(name)
    if group is None:
        raise LookupError(f"The group {name} is missing: somebody deleted it. Run `manage.py provision`.")
    return group


def _template(group_name: str) -> dict[str, Any]:
    """Return the data of the group's launch template, in the group's version."""
    template = _described(group_name).launch_template
    versions = aws.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=template.id, Versions=[template.version or "$Default"]
    )["LaunchTemplateVersions"]
    data: dict[str, Any] = versions[0]["LaunchTemplateData"]
    return data
