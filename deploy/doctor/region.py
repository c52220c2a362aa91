"""Check that the region has enough zones and vCPUs for the service."""

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite import aws, roles
from botsite.roles import YOLO5
from deploy.cfn import remedies
from deploy.service import Service
from metrics.health.findings import Finding, failed, ok, unknown, warning

# "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", counted in virtual processors.
_VCPUS = ("ec2", "L-1216C47A")


def count_zones(service: Service) -> Finding[Any]:
    """Check that the region has a zone for each of the two subnets."""
    found = aws.client("ec2").describe_availability_zones()["AvailabilityZones"]
    return judge_zones({one["ZoneName"]: one["State"] for one in found}, settings.AWS_REGION)


def judge_zones(states: Mapping[str, str], region: str) -> Finding[Any]:
    """Judge the states of a region's zones by name."""
    available = sorted(name for name, state in states.items() if state == "available")
    seen = f"{region} has {len(available)} available zones: {', '.join(available) or 'none available'}"
    if len(available) >= 2:
        return ok(seen)
    return failed(seen, "The sites need two. Use another region (AWS_REGION), or wait for the zone to come back.")


def compare_quota(service: Service) -> Finding[Any]:
    """Check that the account's quota allows the maximum number of instances."""
    values = {name: value for role in roles.ROLES for name, value in service.stack(role.part).parameters.items()}
    cpus = vcpus(sorted({values[role.type_parameter] for role in roles.ROLES}))
    needed = {role.part: role.most(values) * cpus[values[role.type_parameter]] for role in roles.ROLES}
    try:
        limit = quota()
    except (ClientError, BotoCoreError) as error:
        if remedies.denied_action(error):
            raise
        return unknown(f"Service Quotas doesn't tell: {error}")
    return judge_quota(limit, needed, cpus[values[YOLO5.type_parameter]])


def vcpus(types: Sequence[str]) -> dict[str, int]:
    """Return the virtual processors of an instance, by its type."""
    found = aws.client("ec2").describe_instance_types(InstanceTypes=list(types))["InstanceTypes"]
    return {one["InstanceType"]: int(one["VCpuInfo"]["DefaultVCpus"]) for one in found}


def quota(service: str = _VCPUS[0], code: str = _VCPUS[1]) -> float:
    """Return the account's quota in the region: how many vCPUs it may run, or another one."""
    answer = aws.client("service-quotas").get_service_quota(ServiceCode=service, QuotaCode=code)
    return float(answer["Quota"]["Value"])


def request(service: str = _VCPUS[0], code: str = _VCPUS[1]) -> str:
    """Return the command that asks AWS for more."""
    return f"aws service-quotas request-service-quota-increase --service-code {service} --quota-code {code}"


def judge_quota(quota: float, needed: Mapping[str, int], first: int, baker: int = 0, others: int = 0) -> Finding[Any]:
    """Judge a quota of vCPUs.

    `needed` is what each part of the service takes at most, `first` one worker or the builder, `baker` the builder,
    `others` what the account runs besides.
    """
    always = sum(needed[role.part] for role in roles.ROLES if role.always)
    least = always + first + others
    # Machines that always run are doubled while they are replaced, which is not while images are baked.
    most = sum(needed.values()) + max(baker, always) + others
    seen = f"the account may run {quota:g} vCPUs; with one worker or a builder it needs {least}, at most {most}"
    if others:
        seen += f", {others} of them for what runs already"
    todo = f"Ask for more, which takes minutes to days: {request()} --desired-value {most}"
    if quota < least:
        return failed(seen, todo)
    return ok(seen) if quota >= most else warning(seen, f"{todo}. Or lower MaxWorkers.")
