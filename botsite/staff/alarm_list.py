"""The alarms: those that are on with what to do, and the others."""

from collections.abc import Sequence

from botsite import aws
from botsite.staff import logs_link
from botsite.staff.sources import Snapshot
from botsite.staff.tiles import Cell, Row, Table, Tile, count
from metrics.cloudwatch import Alarm

_STATES = {"OK": "fine", "ALARM": "on", "INSUFFICIENT_DATA": "no data"}


def table(seen: Snapshot) -> Table:
    """Return the alarms that are on, and the rest to be unfolded."""
    found = sorted(seen.alarms.value or [], key=lambda one: one.name)
    on = tuple(_row(one) for one in found if _on(one))
    rest = tuple(_row(one) for one in found if not _on(one))
    empty = f"Unknown: {seen.alarms.reason}" if not seen.alarms.known else "No alarm is on."
    return Table("Alarms", on, rest, f"{'The other ' if on else ''}{count(len(rest), 'alarm')}", empty)


def tiles(found: Sequence[Alarm]) -> tuple[Tile, ...]:
    """Return how many are on, scale the group just now, and have no data."""
    on = [one for one in found if _on(one)]
    scaling = [one for one in found if one.scales and one.state == "ALARM"]
    silent = [one for one in found if one.state == "INSUFFICIENT_DATA"]
    why = "not known here: the local AWS publishes no metrics of its own" if aws.emulated() else "the metric is silent"
    return (
        Tile("On", str(len(on)), f"of {count(len(found), 'alarm')}", "#table-alarms", bad=bool(on)),
        Tile("Scaling", str(len(scaling)), "alarms that only start and stop workers"),
        Tile("Without data", str(len(silent)), why if silent else "every alarm has data"),
    )


def _on(alarm: Alarm) -> bool:
    return alarm.state == "ALARM" and not alarm.scales


def _row(alarm: Alarm) -> Row:
    state = _STATES.get(alarm.state, alarm.state)
    state = "scaling workers" if alarm.scales and alarm.state == "ALARM" else state
    cells = (Cell("Alarm", alarm.name, logs_link.of_alarm(alarm.name)), Cell("State", state))
    return Row(alarm.name, cells, alarm.description if _on(alarm) else "", bad=_on(alarm))
