"""The alarms on the dashboard: those that are on with what to do, and the others."""

from collections.abc import Sequence

from botsite.staff import logs_link
from botsite.staff.dashboard.sources import Snapshot
from botsite.staff.dashboard.tiles import Cell, Row, Section, Table, Tile
from metrics.cloudwatch import Alarm
from metrics.health.alarms import judge_silence, sort_alarms
from metrics.health.findings import Health
from metrics.health.words import count

_LISTED = "#table-alarms"
_STATES = {"OK": "fine", "ALARM": "on", "INSUFFICIENT_DATA": "no data"}


def section(seen: Snapshot) -> Section:
    """Return the section of the alarms, or why nothing is known about them."""
    if not seen.alarms.known:
        return Section("Alarms", (Tile("Alarms on", "unknown", seen.alarms.seen, state=Health.UNKNOWN),))
    return of_alarms(seen.alarms.data or [])


def of_alarms(found: Sequence[Alarm]) -> Section:
    """Return the alarms that are on, and the rest to be unfolded."""
    rows = [_row(one) for one in sorted(found, key=lambda one: one.name)]
    on, rest = tuple(row for row in rows if row.bad), tuple(row for row in rows if not row.bad)
    rest_name = f"{'The other ' if on else ''}{count(len(rest), 'alarm')}"
    return Section("Alarms", _tiles(found), table=Table("Alarms", on, rest, rest_name, "No alarm is on."))


def _tiles(found: Sequence[Alarm]) -> tuple[Tile, ...]:
    """Return how many are on, scale the group just now, and have no data."""
    alarms = sort_alarms(found)
    on, silent = len(alarms.on), len(alarms.silent) + len(alarms.waiting)
    silence = judge_silence(alarms)
    return (
        Tile("Alarms on", str(on), f"of {len(found)}", _LISTED, Health.FAILED if on else Health.OK),
        Tile("Scaling alarms on", str(len(alarms.scaling)), "these only start and stop workers", _LISTED),
        Tile("Alarms without data", str(silent), silence.todo or silence.seen if silent else "all have data", _LISTED),
    )


def _row(alarm: Alarm) -> Row:
    ringing = alarm.state == "ALARM"
    on = ringing and not alarm.scales
    state = "scaling workers" if ringing and alarm.scales else _STATES.get(alarm.state, alarm.state)
    cells = (Cell("Alarm", alarm.name, logs_link.of_alarm(alarm.name)), Cell("State", state))
    return Row(alarm.name, cells, alarm.description if on else "", bad=on)
