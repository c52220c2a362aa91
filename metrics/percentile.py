"""The one definition of a percentile: nearest rank, so it is always a value that was measured."""

import math
from typing import Protocol, TypeVar

Number_co = TypeVar("Number_co", covariant=True)


class Ordered(Protocol[Number_co]):
    """Numbers in ascending order: a list, a tuple or an array."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Number_co: ...


def of(ordered: Ordered[Number_co], percent: float) -> Number_co | None:
    """Return a percentile (0-100) of numbers in ascending order; None if there are no numbers."""
    if not len(ordered):
        return None
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]
