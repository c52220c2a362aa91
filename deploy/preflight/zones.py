"""Choose two zones that offer the instance types: in old accounts, some zone lacks the newer ones."""

from collections.abc import Collection, Mapping, Sequence

from django.conf import settings

from botsite import aws
from deploy.doctor.findings import Verdict, failed, not_here, ok
from deploy.preflight.wanted import Wanted
from deploy.provision import Order
from deploy.service import Service

Offers = Mapping[str, Collection[str]]  # zone -> instance types
_NAMES = ("ZoneA", "ZoneB")


def chosen(order: Order, wanted: Wanted) -> dict[str, str]:
    """Return the template parameters of the zones; empty where the region's first two will do, or it is too late."""
    if aws.emulated() or _used(order.service) or any(wanted.values.get(name) for name in _NAMES):
        return {}
    found = fitting(_offers(wanted.every_type), wanted.every_type)
    return {} if found == _first() else dict(zip(_NAMES, found, strict=False))


def fitting(offers: Offers, types: Collection[str]) -> list[str]:
    """Return the first two zones that offer every type; fewer if there are no two."""
    return [zone for zone in sorted(offers) if set(types) <= set(offers[zone])][:2]


def check(order: Order, wanted: Wanted) -> Verdict:
    """Check that both zones of the service offer every type."""
    if aws.emulated():
        return not_here("offers by zone")
    given = [wanted.values[name] for name in _NAMES if wanted.values.get(name)]
    offers = _offers(wanted.every_type)
    used = _used(order.service) or given or fitting(offers, wanted.every_type) or _first()
    return judge(used, offers, wanted.every_type)


def judge(used: Sequence[str], offers: Offers, types: Collection[str]) -> Verdict:
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


def _first() -> list[str]:
    """Return the zones that the template takes by itself."""
    return _zones()[:2]


def _used(service: Service) -> list[str]:
    """Return the zones of the subnets that there are."""
    network = service.find("network")
    ids = [network.outputs[name] for name in ("SubnetAId", "SubnetBId") if name in network.outputs] if network else []
    if not ids:
        return []
    subnets = {one["SubnetId"]: one for one in aws.client("ec2").describe_subnets(SubnetIds=ids)["Subnets"]}
    return [subnets[one]["AvailabilityZone"] for one in ids]
