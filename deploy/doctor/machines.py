"""Check the instances: as many as desired, of the newest image, and healthy at the load balancer."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from botsite import aws, roles
from botsite.roles import POLYBOT, Role
from deploy.cfn import remedies
from deploy.images import ami, rollout
from deploy.images.ami import Image
from deploy.service import Service
from metrics import cloudwatch
from metrics.cloudwatch import Group
from metrics.health.findings import Finding, failed, ok, only_on_aws, warning, worst

# Amazon Linux and Debian publish fixes of vulnerabilities every week.
_RECENT_DAYS = 30


def compare_capacity(service: Service) -> Finding[Any]:
    """Compare the desired and the healthy instances of each group."""
    return worst([_compare_group(_group(rollout.group(service, role))) for role in roles.ROLES])


def _compare_group(group: Group) -> Finding[Any]:
    short = group.in_service < group.desired
    return judge_capacity(group, cloudwatch.last_failure(group.name) if short else "")


def judge_capacity(group: Group, why: str = "") -> Finding[Any]:
    """Judge one group, which EC2 did not give a machine because of `why`."""
    healthy = sum(one.state == "InService" and one.healthy for one in group.instances)
    seen = f"{group.name} wants {group.desired} instances and has {healthy} in service"
    if group.suspended:
        resume = f"aws autoscaling resume-processes --auto-scaling-group-name {group.name}"
        return failed(f"{group.name} has suspended processes: {', '.join(group.suspended)}", f"Run: {resume}")
    return ok(seen) if healthy >= group.desired else _too_few(group.name, seen, why)


@only_on_aws("machines: what runs here is not in its groups")
def _too_few(group: str, seen: str, why: str) -> Finding[Any]:
    if why:
        return failed(f"{seen}: EC2 says: {why}", remedies.advice(why).strip() or "Repair what EC2 names.")
    tells = f"aws autoscaling describe-scaling-activities --auto-scaling-group-name {group}"
    return warning(seen, f"A new instance takes some minutes. If this persists, {tells} tells why EC2 launches none.")


def read_targets(service: Service) -> Finding[Any]:
    """Ask the load balancer which sites are healthy."""
    arn = service.output("web", "TargetGroupArn")
    found = aws.client("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    return judge_targets({one["Target"]["Id"]: one["TargetHealth"]["State"] for one in found}, service)


def judge_targets(states: Mapping[str, str], service: Service) -> Finding[Any]:
    """Judge the states of the sites, of which two should be healthy."""
    healthy = sum(state == "healthy" for state in states.values())
    seen = "sites: " + (", ".join(f"{name} {state}" for name, state in sorted(states.items())) or "none")
    group, logs = POLYBOT.group(service), POLYBOT.log_group(service)
    todo = f"The group {group} replaces a site that stays unhealthy; logs are in {logs}."
    if healthy >= POLYBOT.always:
        return ok(seen)
    return warning(seen, todo) if healthy else failed(f"{seen}: updates are not received", todo)


def compare_images(service: Service) -> Finding[Any]:
    """Check that launch templates have the newest image, a recent one, and instances the newest launch template."""
    return worst([_compare_image(service, role) for role in roles.ROLES])


def _compare_image(service: Service, role: Role) -> Finding[Any]:
    newest = ami.newest(service, role.short)
    if newest is None:
        return no_image(role.short)
    name = rollout.group(service, role)
    current = judge_image(role.short, _image_of(_group(name)), newest.id, rollout.outdated(name))
    return worst([current, judge_age(role.short, newest, datetime.now(UTC))])


@only_on_aws("images: it bakes none")
def no_image(role: str) -> Finding[Any]:
    """Say that a role has no image."""
    return failed(f"{role} has no image", f"Run: python manage.py bake_ami {role}")


def judge_age(role: str, newest: Image, now: datetime) -> Finding[Any]:
    """Judge how old the packages of an image are."""
    age = newest.age(now)
    if age is None or age.days <= _RECENT_DAYS:
        return ok(f"the image of {role} is recent")
    todo = "Bake all again, with today's packages: python manage.py provision --rebake"
    return warning(f"the image of {role} is {age.days} days old", todo)


def judge_image(role: str, started: str, newest: str, outdated: Sequence[str]) -> Finding[Any]:
    """Judge the image of a launch template; `outdated` are instances of an older template."""
    if started != newest:
        return warning(
            f"new instances of {role} start from {started}, but the newest image is {newest}",
            "Run `manage.py provision`.",
        )
    if outdated:
        return warning(
            f"{', '.join(outdated)} of {role} have an older launch template",
            "`manage.py provision` replaces them, one after the other; if that is under way, wait.",
        )
    return ok(f"{role} starts from the newest image")


def _group(name: str) -> Group:
    group = cloudwatch.groups(name).get(name)
    if group is None:
        raise LookupError(f"The group {name} is missing: somebody deleted it. Run `manage.py provision`.")
    return group


def _image_of(group: Group) -> str:
    """Return the image of the group's launch template, in the group's version."""
    template = group.launch_template
    versions = aws.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=template.id, Versions=[template.version or "$Default"]
    )["LaunchTemplateVersions"]
    return str(versions[0]["LaunchTemplateData"]["ImageId"])
