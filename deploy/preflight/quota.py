"""Check that the account may run as many virtual processors as the service needs, and may have another VPC."""

import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from botsite import aws, roles
from deploy.doctor import region
from deploy.doctor.findings import Verdict, failed, not_here, ok, warning
from deploy.preflight.wanted import Wanted
from deploy.provision import Order
from deploy.service import Service

# "VPCs per Region", five in a new account; that of internet gateways rises with it. The service takes no Elastic IP.
_VPCS = ("vpc", "L-F678F1CE")
# The families that the quota counts: A, C, D, H, I, M, R, T and Z.
_COUNTED = re.compile(r"(im|is|[acdhimrtz])\d")


def check(order: Order, wanted: Wanted) -> Verdict:
    """Compare the account's quota with what will run, and with what runs already."""
    if aws.emulated():
        return not_here("quotas")
    cpus = region.vcpus(wanted.every_type)
    cpus = {one: number if _COUNTED.match(one) else 0 for one, number in cpus.items()}
    needed = {part: wanted.counts[part] * cpus[one] for part, one in wanted.types.items()}
    first = max(cpus[wanted.types["workers"]], cpus[wanted.baker])
    return judge(region.quota(), needed, first, cpus[wanted.baker], _others(order.service))


def judge(quota: float, needed: Mapping[str, int], first: int, baker: int, others: int) -> Verdict:
    """Judge a quota of vCPUs; `needed` is by part of the service, `first` what one worker or a builder takes."""
    always = sum(needed[role.part] for role in roles.ROLES if role.always)
    least = always + first + others
    # What always runs is doubled while it is replaced, which is not while images are baked.
    most = sum(needed.values()) + max(baker, always) + others
    seen = f"the account may run {quota:g} vCPUs; with one worker or a builder it needs {least}, at most {most}"
    if others:
        seen += f", {others} of them for what runs already"
    todo = f"Ask for more, which takes minutes to days: {region.request()} --desired-value {most}"
    if quota < least:
        return failed(seen, todo)
    return ok(seen) if quota >= most else warning(seen, f"{todo}. Or lower MaxWorkers.")


def vpcs(order: Order, wanted: Wanted) -> Verdict:
    """Compare the quota of VPCs with those there are, unless the service has its own already."""
    if aws.emulated():
        return not_here("quotas")
    network = order.service.find("network")
    if network and "VpcId" in network.outputs:
        return ok("the service has its VPC")
    pages = aws.client("ec2").get_paginator("describe_vpcs").paginate()
    return judge_vpcs(region.quota(*_VPCS), sum(len(page["Vpcs"]) for page in pages))


def judge_vpcs(quota: float, there: int) -> Verdict:
    """Judge a quota of VPCs in a region, an internet gateway for each included."""
    seen = f"the account may have {quota:g} VPCs in {settings.AWS_REGION} and has {there}"
    if there < quota:
        return ok(seen)
    asked = f"{region.request(*_VPCS)} --desired-value {there + 1}"
    return failed(seen, f"Delete one that nobody needs, or ask for more: {asked}")


def _others(service: Service) -> int:
    """Count the vCPUs of the account's other instances in this quota."""
    running = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    pages = aws.client("ec2").get_paginator("describe_instances").paginate(Filters=running)
    every = [one for page in pages for group in page["Reservations"] for one in group["Instances"]]
    types = [one["InstanceType"] for one in every if _counted(one) and not _ours(one, service)]
    cpus = region.vcpus(sorted(set(types))) if types else {}
    return sum(cpus[one] for one in types)


def _counted(instance: Mapping[str, Any]) -> bool:
    # Spot instances have a quota of their own.
    return instance.get("InstanceLifecycle") != "spot" and bool(_COUNTED.match(instance["InstanceType"]))


def _ours(instance: Mapping[str, Any], service: Service) -> bool:
    marks = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
    return service.tags().items() <= marks.items()
