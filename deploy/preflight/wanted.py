"""Work out which machines will run, and which ones bake their images."""

from collections.abc import Mapping
from dataclasses import dataclass

from deploy import stacks
from deploy.doctor import region
from deploy.provision import Order

_SITES = 2


@dataclass(frozen=True)
class Wanted:
    """Instance types and the largest number of instances, by part of the service; and the builder's type."""

    types: Mapping[str, str]
    counts: Mapping[str, int]
    baker: str
    values: Mapping[str, str]

    @property
    def every_type(self) -> list[str]:
        """Return each type once."""
        return sorted({*self.types.values(), self.baker})


def of(order: Order, baker: str) -> Wanted:
    """Return what an order makes run, with images baked on this instance type."""
    planned = stacks.planned(order.service, order.values)
    values = {name: value for _, given in planned for name, value in given.items()}
    counts = {"web": _SITES, "metrics": 1, "workers": int(float(values["MaxWorkers"]))}
    types = {part: values[name] for part, name in region.TYPES.items()}
    return Wanted(types, counts, baker, values)
