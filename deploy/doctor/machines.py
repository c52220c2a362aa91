"""Whether the groups have the machines they want, of the newest image, and the load balancer has sites that answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botsite import aws
from deploy.doctor.findings import Verdict, failed, ok, unknown, warning, worst
from deploy.doctor.place import Place
from deploy.images import ami, rollout

# Role -> (part of the service, output that names its group).
GROUPS = {"polybot": ("web", "PolybotGroupName"), "yolo5": ("workers", "Yolo5GroupName")}
GROUPS |= {"metrics": ("metrics", "MetricsGroupName")}


@dataclass(frozen=True)
class Group:
    """An Auto Scaling group. `outdated` are machines of an older launch template; `suspended` what it may not do."""

    name: str
    desired: int
    maximum: int
    healthy: int
    outdated: tuple[str, ...] = ()
    suspended: tuple[str, ...] = ()


def capacity(place: Place) -> Verdict:
    """Compare what each group wants with what it has."""
    return worst([judge_capacity(_read(_group(place, role)), place.emulated) for role in GROUPS])


def judge_capacity(group: Group, emulated: bool) -> Verdict:
    """Judge one group."""
    seen = f"{group.name} wants {group.desired} machines and has {group.healthy} in service"
    if group.suspended:
        resume = f"aws autoscaling resume-processes --auto-scaling-group-name {group.name}"
        return failed(f"{group.name} may not {', '.join(group.suspended)}", f"Run: {resume}")
    if group.healthy >= group.desired:
        return ok(seen)
    if emulated and not group.healthy:
        return unknown("the emulator starts no machines: what runs here is not in its groups")
    return warning(
        seen,
        f"A new machine takes some minutes. If it stays so: aws autoscaling describe-scaling-activities "
        f"--auto-scaling-group-name {group.name} says why EC2 gives none.",
    )


def targets(place: Place) -> Verdict:
    """Ask the load balancer which sites answer their health check."""
    arn = place.output("web", "TargetGroupArn")
    found = aws.client("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    return judge_targets({one["Target"]["Id"]: one["TargetHealth"]["State"] for one in found}, place.prefix)


def judge_targets(states: Mapping[str, str], prefix: str) -> Verdict:
    """Judge the state of each site: two are to be healthy."""
    healthy = sum(state == "healthy" for state in states.values())
    seen = "sites: " + (", ".join(f"{name} {state}" for name, state in sorted(states.items())) or "none")
    todo = f"The group {prefix}-polybot replaces a site that stays unhealthy; its logs are in /{prefix}/polybot."
    if healthy >= 2:
        return ok(seen)
    return warning(seen, todo) if healthy else failed(f"{seen}: nobody takes updates", todo)


def images(place: Place) -> Verdict:
    """Say whether each launch template starts the newest image, and each machine is of the newest template."""
    return worst([_image(place, role) for role in GROUPS])


def _image(place: Place, role: str) -> Verdict:
    newest = ami.newest(place.prefix, role)
    if newest is None and place.emulated:
        return unknown("no image was baked here: the emulator makes none")
    name = _group(place, role)
    return judge_image(role, _template(name)["ImageId"], newest.id if newest else "", _read(name))


def judge_image(role: str, started: str, newest: str, group: Group) -> Verdict:
    """Judge the image that a launch template starts against the newest there is, and the machines against it."""
    if not newest:
        return failed(f"there is no image of {role}", f"Run: python manage.py bake_ami {role}")
    if started != newest:
        return warning(f"new machines of {role} start {started}, the newest is {newest}", "Run `manage.py provision`.")
    if group.outdated:
        return warning(
            f"{', '.join(group.outdated)} of {role} are of an older launch template",
            "`manage.py provision` replaces them. If it has begun, wait: one machine goes after the other.",
        )
    return ok(f"{role} starts the newest image")


def metadata(place: Place) -> Verdict:
    """Say whether containers reach the metadata of their machine, by IMDSv2 alone."""
    return worst([judge_metadata(role, _template(_group(place, role)).get("MetadataOptions", {})) for role in GROUPS])


def judge_metadata(role: str, options: Mapping[str, Any]) -> Verdict:
    """Judge the metadata options of a launch template."""
    tokens, hops = options.get("HttpTokens"), options.get("HttpPutResponseHopLimit")
    if tokens == "required" and hops == 2:
        return ok("IMDSv2 is required, with a hop limit of 2, in every launch template")
    return failed(
        f"the launch template of {role} has HttpTokens {tokens} and a hop limit of {hops}: a container is one hop "
        "farther than its machine, and has no credentials with a limit of 1",
        "Run `manage.py provision`; if the template was edited by hand, set the group's template version back.",
    )


def _group(place: Place, role: str) -> str:
    return place.output(*GROUPS[role])


def _read(name: str) -> Group:
    found: Sequence[Any] = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])[
        "AutoScalingGroups"
    ]
    if not found:
        raise LookupError(f"There is no group {name}: somebody deleted it. Run `manage.py provision`.")
    group = found[0]
    states = [(one["LifecycleState"], one["HealthStatus"]) for one in group.get("Instances", [])]
    suspended = tuple(one["ProcessName"] for one in group.get("SuspendedProcesses", []))
    sizes = (group["DesiredCapacity"], group["MaxSize"], states.count(("InService", "Healthy")))
    return Group(name, *sizes, tuple(rollout.outdated(name)), suspended)


def _template(group_name: str) -> dict[str, Any]:
    """Return what the group's launch template says, in the version that the group has."""
    groups = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group_name])
    template = groups["AutoScalingGroups"][0]["LaunchTemplate"]
    versions = aws.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=template["LaunchTemplateId"], Versions=[template.get("Version", "$Default")]
    )["LaunchTemplateVersions"]
    data: dict[str, Any] = versions[0]["LaunchTemplateData"]
    return data
