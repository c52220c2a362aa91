"""Show who has sent more photos than one person may."""

from collections.abc import Sequence
from datetime import UTC, datetime

from botsite.bot.incoming.limits import Limited
from botsite.staff.sources import Snapshot
from botsite.staff.tiles import Cell, Row, Section, Table, Tile, count, of, span, tile


def sections(seen: Snapshot) -> list[Section]:
    """Return the section of the limits; none while nobody was kept out."""
    found = seen.limited
    if found.known and not found.value:
        return []
    people = found.value or []
    table = Table("Limited", tuple(_row(each, seen.at) for each in people), empty=f"Unknown: {found.reason}")
    return [Section("Limits", (tile("People over a limit", found, _people),), table=table)]


def _people(people: Sequence[Limited]) -> Tile:
    photos = sum(each.count.refused for each in people)
    return of(len(people), f"in two days; {count(photos, 'photo')} kept out")


def _row(limited: Limited, now: float) -> Row:
    kept = limited.count
    today = kept.day == f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d}"
    ago = now - kept.refused_at.timestamp() if kept.refused_at else None
    cells = (
        Cell("Person", limited.person),
        Cell("Last kept out", f"{span(ago)} ago"),
        Cell("Limit", f"a {kept.refused_by}"),
        Cell("Let through today", str(kept.in_day if today else 0)),
        Cell("Kept out that day", str(kept.refused)),
    )
    return Row(limited.person, cells)
