"""Check that the account may run as much as the service needs in the region, and choose its two zones.

In old accounts, some zone lacks the newer instance types.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.conf import settings

from botsite import aws
from deploy.doctor import region
from deploy.preflight.machines import WantedMachines
from deploy.provision import Order
from deploy.service import Service
from metrics.health.findings import Finding, failed, ok, only_on_aws

# "VPCs per Region", five in a new account; that of internet gateways rises with it. The service takes no Elastic IP.
_VPCS = ("vpc", "L-F678F1CE")
# The families that the quota counts: A, C, D, H, I, M, R, T and Z.
_COUNTED = re.compile(r"(im|is|[acdhimrtz])\d")
Offers = Mapping[str, Collection[str]]  # zone -> instance types
_NAMES = ("ZoneA", "ZoneB")


@only_on_aws("quotas")
def compare_quota(order: Order, wanted: WantedMachines) -> Finding[Any]:
    """Compare the account's quota with what will run, and with what runs already."""
    cpus = region.vcpus(wanted.every_type)
    cpus = {one: number if _COUNTED.match(one) else 0 for one, number in cpus.items()}
    needed = {part: wanted.counts[part] * cpus[one] for part, one in wanted.types.items()}
    first = max(cpus[wanted.types["workers"]], cpus[wanted.baker])
    return region.judge_quota(region.quota(), needed, first, cpus[wanted.baker], _others(order.service))


@only_on_aws("quotas")
def count_vpcs(order: Order, wanted: WantedMachines) -> Finding[Any]:
    """Compare the quota of VPCs with those there are, unless the service has its own already."""
    network = order.service.find("network")
    if network and "VpcId" in network.outputs:
        return ok("the service has its VPC")
    pages = aws.client("ec2").get_paginator("describe_vpcs").paginate()
    return _judge_vpcs(region.quota(*_VPCS), sum(len(page["Vpcs"]) for page in pages))


def _judge_vpcs(quota: float, there: int) -> Finding[Any]:
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


@aws.real_only(otherwise={})
def chosen_zones(order: Order, wanted: WantedMachines) -> dict[str, str]:
    """Return the template parameters of the zones; empty where the region's first two will do, or it is too late."""
    if _used_zones(order.service) or any(wanted.values.get(name) for name in _NAMES):
        return {}
    found = fitting_zones(_offers(wanted.every_type), wanted.every_type)
    return {} if found == _first_zones() else dict(zip(_NAMES, found, strict=False))


def fitting_zones(offers: Offers, types: Collection[str]) -> list[str]:
    """Return the first two zones that offer every type; fewer if there are no two."""
    return [zone for zone in sorted(offers) if set(types) <= set(offers[zone])][:2]


@only_on_aws("offers by zone")
def compare_zones(order: Order, wanted: WantedMachines) -> Finding[Any]:
    """Check that both zones of the service offer every type."""
    given = [wanted.values[name] for name in _NAMES if wanted.values.get(name)]
    offers = _offers(wanted.every_type)
    used = _used_zones(order.service) or given or fitting_zones(offers, wanted.every_type) or _first_zones()
    return judge_offers(used, offers, wanted.every_type)


def judge_offers(used: Sequence[str], offers: Offers, types: Collection[str]) -> Finding[Any]:
    """Judge the zones of the service."""
    lacks = [f"{zone} has no {one}" for zone in used for one in types if one not in offers.get(zone, ())]
    todo = "Choose other types (--parameter WorkerType=, WebType=, MetricsType=; --bake-type), or another region."
    if len(used) < 2:
        return failed(f"only one zone of {settings.AWS_REGION} offers {', '.join(types)}, and the sites need two", todo)
    return failed("; ".join(lacks), todo) if lacks else ok(f"{' and '.join(used)} offer {', '.join(types)}")


def _offers(types: Sequence[str]) -> dict[str, set[str]]:
    """Return which of the types each zone of the region offers; a zone that can't be used is left out."""
    condition = [{"Name": "instance-type", "Values": list(types)}]
    pages = aws.client("ec2").get_paginator("describe_instance_type_offerings")
    offers: dict[str, set[str]] = {zone: set() for zone in _zones()}
    for page in pages.paginate(LocationType="availability-zone", Filters=condition):
        for one in page["InstanceTypeOfferings"]:
            if one["Location"] in offers:
                offers[one["Location"]].add(one["InstanceType"])
    return offers


def _zones() -> list[str]:
    # Not the local zones that an account may have enabled, which have few types.
    found = aws.client("ec2").describe_availability_zones()["AvailabilityZones"]
    usable = [one for one in found if one["State"] == "available" and one.get("ZoneType") == "availability-zone"]
    return sorted(one["ZoneName"] for one in usable)


def _first_zones() -> list[str]:
    """Return the zones that the template takes by itself."""
    return _zones()[:2]


def _used_zones(service: Service) -> list[str]:
    """Return the zones of the subnets that there are."""
    network = service.find("network")
    ids = [network.outputs[name] for name in ("SubnetAId", "SubnetBId") if name in network.outputs] if network else []
    if not ids:
        return []
    subnets = {one["SubnetId"]: one for one in aws.client("ec2").describe_subnets(SubnetIds=ids)["Subnets"]}
    return [subnets[one]["AvailabilityZone"] for one in ids]
