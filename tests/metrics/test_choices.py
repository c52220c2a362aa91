"""The table of ways to have a worker in time, as `provision --plan` shows it, is what the simulator computes."""

import pytest

from metrics.simulator import choices


def test_stored_table_is_what_is_computed_for_few_photos() -> None:
    few = choices.PHOTOS_A_DAY[:1]
    stored = [one for one in choices.stored() if one.photos_a_day in few]
    assert list(choices.computed(few)) == stored


@pytest.mark.slow(quick="tests/metrics/test_choices.py")
def test_stored_table_is_what_is_computed() -> None:
    assert list(choices.computed()) == choices.stored()


def test_every_choice_has_a_row_for_every_load() -> None:
    found = [(one.name, one.photos_a_day) for one in choices.stored()]
    assert found == [(name, photos) for name in choices.CHOICES for photos in choices.PHOTOS_A_DAY]
