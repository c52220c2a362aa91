"""Turn numbers over time into the geometry that a template draws as SVG, and into words.

Only lines and the target: labels are text next to the picture, which stays readable when the picture shrinks. No
library: those that draw SVG write styles and scripts into it, which the site's content security policy forbids.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from metrics.evaluation import Point

WIDTH, HEIGHT = 600, 120
# A target farther above all values is named and not drawn: on its scale they would be a flat line.
_TARGET_REACHES = 4.0
# A line of this width cannot show more points; of those that share a place the highest counts.
_PLACES = 300


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart: its name, and its path as the SVG attribute `d`, empty without points."""

    name: str
    way: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart from `since` to now. `top` is the value at the upper edge, `target` the height of the target's line."""

    title: str
    since: str
    top: str
    lines: tuple[Line, ...]
    words: str
    target: float | None = None
    target_name: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a chart covers: `seconds` up to `now` (epoch seconds); a line breaks after `gap` seconds without a point."""

    now: float
    seconds: float
    gap: float

    def draw(self, title: str, since: str, series: Mapping[str, Sequence[Point]], target: float | None = None) -> Chart:
        """Return the chart of some series; the points of each are oldest first."""
        values = [point.value for points in series.values() for point in points]
        highest = max(values, default=0.0)
        drawn = target if target and (not highest or target <= _TARGET_REACHES * highest) else None
        top = nice(max(highest, 1.2 * drawn if drawn else 0.0))
        lines = tuple(Line(name, "".join(self._way(points, top))) for name, points in series.items())
        words = "; ".join(_words(name, points) for name, points in series.items())
        return Chart(
            title=title,
            since=since,
            top=f"{top:g}",
            lines=lines,
            words=f"{title}, {since} to now: {words}" + (f"; target {target:g}" if target else ""),
            target=round(_height(drawn, top), 1) if drawn else None,
            target_name=_target_name(target, drawn),
        )

    def _way(self, points: Sequence[Point], top: float) -> Iterator[str]:
        before = -math.inf
        for point in _thinned(points, self.seconds / _PLACES):
            x = (point.at - self.now + self.seconds) / self.seconds * WIDTH
            where = f"{min(max(x, 0.0), WIDTH):.1f} {_height(point.value, top):.1f}"
            # "h0" turns a single point into a dot.
            yield f"L{where}" if point.at - before <= self.gap else f"M{where}h0"
            before = point.at


def _target_name(target: float | None, drawn: float | None) -> str:
    if not target:
        return ""
    return f"target {target:g}" if drawn else f"target {target:g}, far above"


def nice(value: float) -> float:
    """Return the smallest 1, 2 or 5 times a power of ten that is at least the value, and at least 1."""
    if value <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def _height(value: float, top: float) -> float:
    return HEIGHT - min(max(value / top, 0.0), 1.0) * HEIGHT


def _thinned(points: Sequence[Point], seconds: float) -> list[Point]:
    highest: dict[int, Point] = {}
    for point in points:
        place = math.floor(point.at / seconds)
        if place not in highest or point.value >= highest[place].value:
            highest[place] = point
    return list(highest.values())


def _words(name: str, points: Sequence[Point]) -> str:
    if not points:
        return f"{name} unknown, no data"
    return f"{name} now {points[-1].value:g}, at most {max(point.value for point in points):g}"
