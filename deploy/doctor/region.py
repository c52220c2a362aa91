"""Whether the region can hold the service: zones, and the quota of virtual processors."""

from collections.abc import Mapping

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite import aws
from deploy.cfn import refusals
from deploy.doctor.findings import Verdict, failed, ok, unknown, warning
from deploy.doctor.place import Place

# "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", counted in virtual processors.
_QUOTA = "L-1216C47A"
# Part of the service -> the parameter that names its instance type.
_TYPES = {"web": "WebType", "workers": "WorkerType", "metrics": "MetricsType"}


def zones(place: Place) -> Verdict:
    """Say whether the region has a zone for each of the two subnets."""
    found = aws.client("ec2").describe_availability_zones()["AvailabilityZones"]
    return judge_zones({one["ZoneName"]: one["State"] for one in found}, settings.AWS_REGION)


def judge_zones(states: Mapping[str, str], region: str) -> Verdict:
    """Judge the states of a region's zones by name."""
    available = sorted(name for name, state in states.items() if state == "available")
    seen = f"{region} has {len(available)} zones: {', '.join(available) or 'none is available'}"
    if len(available) >= 2:
        return ok(seen)
    return failed(seen, "The sites need two zones. Use another region (AWS_REGION), or wait until the zone is back.")


def quotas(place: Place) -> Verdict:
    """Say whether the account's quota has room for all machines at their most."""
    types = {part: place.stack(part).parameters[name] for part, name in _TYPES.items()}
    found = aws.client("ec2").describe_instance_types(InstanceTypes=sorted(set(types.values())))["InstanceTypes"]
    cpus = {one["InstanceType"]: int(one["VCpuInfo"]["DefaultVCpus"]) for one in found}
    counts = {"web": 2, "metrics": 1, "workers": int(place.stack("workers").parameters["MaxWorkers"])}
    needed = {part: counts[part] * cpus[type_] for part, type_ in types.items()}
    try:
        answer = aws.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode=_QUOTA)
    except (ClientError, BotoCoreError) as error:
        if action := refusals.denied_action(error):
            return unknown(f"these credentials may not ask for the quota ({action})", f"Grant {action} to them.")
        return unknown(f"Service Quotas does not say it: {error}")
    return judge_quota(answer["Quota"]["Value"], needed)


def judge_quota(quota: float, needed: Mapping[str, int]) -> Verdict:
    """Judge the virtual processors that the account may run against those that each part of the service needs."""
    always, most = needed["web"] + needed["metrics"], sum(needed.values())
    seen = f"the account may run {quota:g} vCPUs, the service needs {always} always and {most} at its most"
    todo = f"Ask for more: aws service-quotas request-service-quota-increase --service-code ec2 --quota-code {_QUOTA}"
    if quota < always:
        return failed(seen, f"{todo} --desired-value {most}")
    if quota < most:
        return warning(seen, f"{todo} --desired-value {most}, or lower MaxWorkers.")
    return ok(seen)
