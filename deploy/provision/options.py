"""Refuse options that exclude each other, or that have to be meant; a template can't compare its parameters."""

import ipaddress
from collections.abc import Mapping

from deploy import stacks
from deploy.cfn.cloudformation import StackError
from deploy.service import Service
from metrics.machine_types import TYPES

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
    _check_standby(stacks.values(service, "metrics", given), values["WorkerType"])
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


def _check_standby(metrics: Mapping[str, str], worker_type: str) -> None:
    """Raise StackError for a standby that the arithmetic would take for a faster one."""
    if metrics["StandbyWorker"] != "on":
        return
    here, there = TYPES.get(metrics["MetricsType"]), TYPES.get(worker_type)
    if here and here.name.endswith(".nano"):
        raise StackError(f"StandbyWorker=on needs 1 GiB of memory: MetricsType={here.name} has half of it.")
    if here and there and here.photos_per_second < there.photos_per_second:
        raise StackError(
            f"StandbyWorker=on counts as one worker, but MetricsType={here.name} is slower than "
            f"WorkerType={there.name}: take one that is as fast, or leave StandbyWorker off."
        )
