"""Work out which machines will run, and which ones bake their images."""

from collections.abc import Mapping
from dataclasses import dataclass

from botsite import roles
from deploy import stacks
from deploy.provision import Order


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
    counts = {role.part: role.most(values) for role in roles.ROLES}
    types = {role.part: values[role.type_parameter] for role in roles.ROLES}
    return Wanted(types, counts, baker, values)
