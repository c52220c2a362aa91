"""Times in a text are shown by Telegram in the reader's zone."""

from datetime import UTC, datetime

import pytest

from botsite.bot.telegram import clock

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.mark.parametrize("moment", [NOON, NOON.replace(minute=5, second=7)])
def test_written_time_is_found_again(moment: datetime) -> None:
    text = f"😀 \u2068{clock.written(moment)}\u2069: 1 cat, then {clock.written(NOON)}"
    first, second = clock.entities(text)
    assert (first.unix_time, second.unix_time, first.type, first.date_time_format) == (moment, NOON, "date_time", "dt")
    in_units = text.encode("utf-16-le")
    there = in_units[2 * first.offset : 2 * (first.offset + first.length)].decode("utf-16-le")
    assert there == clock.written(moment)


@pytest.mark.parametrize("text", ["", "1 cat", "2026-11-26", "12:00 UTC", "I don't know “2026-02-31 99:00 UTC”."])
def test_what_is_no_time_stays_text(text: str) -> None:
    assert clock.entities(text) == []
