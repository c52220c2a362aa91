"""Refuse options of the workers that exclude each other; a template can't compare its parameters."""

from collections.abc import Mapping

from deploy import stacks
from deploy.cfn.cloudformation import StackError
from deploy.service import Service


def check(service: Service, given: Mapping[str, str]) -> None:
    """Raise StackError for what the operator gives now, or gave before, if it can't be had together."""
    values = stacks.values(service, "workers", given)
    warm, spot, most = (int(float(values[name])) for name in ("WarmMachines", "SpotShare", "MaxWorkers"))
    if warm and spot:
        raise StackError(
            f"WarmMachines={warm} and SpotShare={spot} exclude each other: a Spot instance can't be kept in a warm "
            "pool. (Since November 2025 a group with a mixed instances policy may have one, but of On-Demand instances "
            "only.) Set one of them to 0."
        )
    if warm > most:
        raise StackError(
            f"WarmMachines={warm} is more than MaxWorkers={most}: machines beyond the maximum would be prepared and "
            "never start. Lower WarmMachines or raise MaxWorkers."
        )
