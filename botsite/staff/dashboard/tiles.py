"""The parts of the dashboard: tiles, tables of machines or alarms, and charts, in sections."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar, cast

from django.urls import reverse

from botsite.staff.dashboard.charts import Chart
from botsite.staff.jobs.filters import Filters, JobState
from detection.record.schemas import Delivery
from metrics.health.findings import Finding, Health

# The most that fit into a tile on a phone.
_LARGE_LETTERS = 10
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Tile:
    """A number, and the page that tells more. Where the state is unknown, the note says why.

    Only what needs an operator is bad; a backlog, a growing group and refused files are not.
    """

    name: str
    value: str
    note: str = ""
    link: str = ""
    state: Health = Health.OK

    @property
    def bad(self) -> bool:
        """Return whether an operator has to act."""
        return self.state is Health.FAILED

    @property
    def unknown(self) -> bool:
        """Return whether its value could not be read."""
        return self.state is Health.UNKNOWN

    @property
    def key(self) -> str:
        """Return the name as an id."""
        return self.name.lower().replace(" ", "-").replace(",", "")

    @property
    def long(self) -> bool:
        """Return whether the value is too long for large letters."""
        return len(self.value) > _LARGE_LETTERS


@dataclass(frozen=True, slots=True)
class Cell:
    """A row's text in a column, and the page that tells more."""

    column: str
    text: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A machine or an alarm, and what to do about it."""

    key: str
    cells: tuple[Cell, ...]
    todo: str = ""
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of equal columns, or the sentence `empty`. `rest` are rows that nobody has to see, behind `rest_name`."""

    name: str
    rows: tuple[Row, ...]
    rest: tuple[Row, ...] = ()
    rest_name: str = ""
    empty: str = ""

    @property
    def key(self) -> str:
        """Return the name as an id."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Section:
    """Tiles that belong together, with a sentence above them, their table and their charts."""

    title: str
    tiles: tuple[Tile, ...]
    charts: tuple[Chart, ...] = ()
    notice: str = ""
    table: Table | None = None

    @property
    def key(self) -> str:
        """Return the title as an id."""
        return self.title.lower()


def tile(name: str, found: Finding[Value], show: Callable[[Value], Tile], link: str = "") -> Tile:
    """Return the tile that `show` makes of what was read, which lacks name and link, or the reason why nothing was."""
    if not found.known:
        return Tile(name, "unknown", found.seen, link, Health.UNKNOWN)
    return replace(show(cast(Value, found.data)), name=name, link=link)


def of(value: object, note: str = "", bad: bool = False) -> Tile:
    """Return a tile without a name, for `tile`."""
    return Tile("", str(value), note, state=Health.FAILED if bad else Health.OK)


def jobs(status: JobState | None = None, delivery: Delivery | None = None, since: datetime | None = None) -> str:
    """Return the address of the list of these jobs."""
    return reverse("admin:detection_job_changelist") + Filters(status=status, delivery=delivery, since=since).address()
