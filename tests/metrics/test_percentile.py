"""A percentile is a value that was measured, by nearest rank."""

import numpy as np
import pytest

from metrics import percentile


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 2), (51, 3), (95, 4), (100, 4)])
def test_percentile_is_nearest_rank(percent: float, value: int) -> None:
    assert percentile.of([1, 2, 3, 4], percent) == value
    assert percentile.of(np.array([1.0, 2, 3, 4]), percent) == value


def test_no_values_have_no_percentile() -> None:
    assert percentile.of([], 50) is None
    assert percentile.of(np.array([]), 50) is None
