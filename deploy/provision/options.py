"""Refuse options that exclude each other, or that have to be meant; a template can't compare its parameters."""

import ipaddress
from collections.abc import Mapping

from deploy import stacks
from deploy.cfn.cloudformation import StackError
from deploy.service import Service

# Wider is no network of one's own: the largest that were ever given to anybody.
WIDEST = 8


def check_open(given: Mapping[str, str], meant: bool) -> None:
    """Raise StackError for an OperatorCidr that is half the world, unless that is `meant`."""
    cidr = given.get("OperatorCidr", "")
    if cidr and not meant and ipaddress.ip_network(cidr, strict=False).prefixlen < WIDEST:
        raise StackError(
            f"OperatorCidr={cidr} lets everybody reach the admin's login. Give your own address, OperatorCidr=IP/32; "
            "if you mean it, add --open-admin."
        )


def check(service: Service, given: Mapping[str, str]) -> None:
    """Raise StackError for what the operator gives now, or gave before, if it can't be had together."""
    values = stacks.values(service, "workers", given)
    warm, spot, most = (float(values[name]) for name in ("WarmMachines", "SpotShare", "MaxWorkers"))
    if not warm.is_integer():
        raise StackError(f"WarmMachines can't be {warm:g}: it is a number of machines.")
    if warm and spot:
        raise StackError(
            f"WarmMachines={warm:g} and SpotShare={spot:g} exclude each other: a Spot instance can't be kept in a warm "
            "pool. (Since November 2025 a group with a mixed instances policy may have one, but of On-Demand instances "
            "only.) Set one of them to 0."
        )
    if warm > most:
        raise StackError(
            f"WarmMachines={warm:g} is more than MaxWorkers={most:g}: machines beyond the maximum would be prepared "
            "and never start. Lower WarmMachines or raise MaxWorkers."
        )
