"""What the dashboard is made of: tiles, machines, alarms and charts, in sections."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar, cast

from botsite.staff.charts import Chart
from botsite.staff.sources import Reading
from detection.record import timeline

# As many as fit into a tile on a phone.
_LARGE_LETTERS = 10
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Tile:
    """A number, and the page that tells more. `bad` if somebody has to act; `unknown` with the reason as its note."""

    name: str
    value: str
    note: str = ""
    link: str = ""
    bad: bool = False
    unknown: bool = False

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
    """What a row has in a column, and the page that tells more."""

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


def tile(name: str, reading: Reading[Value], show: Callable[[Value], Tile], link: str = "") -> Tile:
    """Return the tile that `show` makes of what was read, which lacks name and link, or the reason why nothing was."""
    if not reading.known:
        return Tile(name, "unknown", reading.reason, link, unknown=True)
    return replace(show(cast(Value, reading.value)), name=name, link=link)


def of(value: object, note: str = "", bad: bool = False) -> Tile:
    """Return a tile without a name, for `tile`."""
    return Tile("", str(value), note, bad=bad)


def span(seconds: float | None) -> str:
    """Return seconds in a readable unit; a dash for None."""
    if seconds is None:
        return "–"
    if seconds < 120:
        return f"{seconds:.0f} s"
    days = int(seconds // 86_400)
    return f"{days} d {seconds % 86_400 // 3600:.0f} h" if days else timeline.readable(round(seconds) * 1000)


def count(number: int, noun: str) -> str:
    """Return "1 photo", "2 photos"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
