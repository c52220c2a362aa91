"""The alarms: those that are on with what to do, and the others."""

from collections.abc import Sequence

from botsite import aws
from botsite.staff import logs_link
from botsite.staff.sources import Snapshot
from botsite.staff.tiles import Cell, Row, Table, Tile, count
from metrics.cloudwatch import Alarm

_LISTED = "#table-alarms"
_STATES = {"OK": "fine", "ALARM": "on", "INSUFFICIENT_DATA": "no data"}


def table(seen: Snapshot) -> Table:
    """Return the alarms that are on, and the rest to be unfolded."""
    found = rows(seen.alarms.value or [])
    on, rest = tuple(row for row in found if row.bad), tuple(row for row in found if not row.bad)
    empty = f"Unknown: {seen.alarms.reason}" if not seen.alarms.known else "No alarm is on."
    return Table("Alarms", on, rest, f"{'The other ' if on else ''}{count(len(rest), 'alarm')}", empty)


def rows(found: Sequence[Alarm]) -> list[Row]:
    """Return the alarms by their names."""
    return [_row(one) for one in sorted(found, key=lambda one: one.name)]


def tiles(found: Sequence[Alarm]) -> tuple[Tile, ...]:
    """Return how many are on, scale the group just now, and have no data."""
    on = [one for one in found if _on(one)]
    scaling = [one for one in found if one.scales and one.state == "ALARM"]
    silent = [one for one in found if one.state == "INSUFFICIENT_DATA"]
    why = "not known here: the local AWS publishes no metrics of its own" if aws.emulated() else "the metric is silent"
    return (
        Tile("Alarms on", str(len(on)), f"of {len(found)}", _LISTED, bad=bool(on)),
        Tile("Scaling alarms on", str(len(scaling)), "these only start and stop workers", _LISTED),
        Tile("Alarms without data", str(len(silent)), why if silent else "all have data", _LISTED),
    )


def _on(alarm: Alarm) -> bool:
    return alarm.state == "ALARM" and not alarm.scales


def _row(alarm: Alarm) -> Row:
    state = _STATES.get(alarm.state, alarm.state)
    state = "scaling workers" if alarm.scales and alarm.state == "ALARM" else state
    cells = (Cell("Alarm", alarm.name, logs_link.of_alarm(alarm.name)), Cell("State", state))
    return Row(alarm.name, cells, alarm.description if _on(alarm) else "", bad=_on(alarm))
