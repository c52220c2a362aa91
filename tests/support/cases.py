"""Have the first cases of a table, its borders, in `make test`, and the others in `make test-all`."""

from collections.abc import Iterable
from typing import Any

import pytest


def slow_after(number: int, cases: Iterable[Any]) -> list[Any]:
    """Return the cases for `pytest.mark.parametrize`, all but the first so many marked as slow."""
    listed = list(cases)
    return [*listed[:number], *map(_slow, listed[number:])]


def _slow(case: Any) -> Any:
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
