"""How long a photo will wait is said in a few words that stay true."""

import pytest

from botsite.bot.words import replies


@pytest.mark.parametrize(
    ("place", "seconds", "starting", "text"),
    [
        (1, 130.0, True, "You're next. A machine is starting: about 2 minutes."),
        (3, 20.0, False, "You're third in line. It'll take about 20 seconds."),
        (23, 4.0, False, "You're number 23 in line. It'll take a few seconds."),
        (None, 600.0, False, "There are many photos ahead of yours. It'll take about 10 minutes."),
        (2, None, False, "You're second in line."),
    ],
)
def test_place_and_time_are_told(place: int | None, seconds: float | None, starting: bool, text: str) -> None:
    assert replies.in_line(place, seconds, starting=starting) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "a few seconds"),
        (9.9, "a few seconds"),
        (11, "about 20 seconds"),
        (59, "about 60 seconds"),
        (89, "about 90 seconds"),
        (91, "about 2 minutes"),
        (150, "about 2 minutes"),
        (3600, "about 60 minutes"),
    ],
)
def test_times_are_rounded_as_people_do(seconds: float, text: str) -> None:
    assert replies.about(seconds) == text
