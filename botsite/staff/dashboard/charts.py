"""Turn numbers over time into the geometry that a template draws as SVG, and into words.

Only lines and the target: labels are text next to the picture, which stays readable when the picture shrinks. No
library: those that draw SVG write styles and scripts into it, which the site's content security policy forbids. What
the pointer shows is in `values`, for static/staff/chart.js.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from metrics.evaluation import Point

WIDTH, HEIGHT = 600, 120
# A target farther above all values is named and not drawn: on its scale they would be a flat line.
_TARGET_REACHES = 4.0
# A line of this width cannot show more points; of those that share a place the highest counts.
_PLACES = 150
Series = Mapping[str, Sequence[Point]]


def plain(value: float) -> str:
    """Return a number as it is."""
    return f"{value:g}"


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of a chart: its name, its path as the SVG attribute `d`, and that of the points that are no line."""

    name: str
    way: str
    dots: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart from `since` to now. `top` is the value at the upper edge, `target` the height of the target's line.

    `values` is JSON: from when, how long, and of each line its points as [place from left, value in words].
    """

    title: str
    since: str
    top: str
    lines: tuple[Curve, ...]
    words: str
    values: str
    target: float | None = None
    target_name: str = ""

    @property
    def key(self) -> str:
        """Return the title as an id."""
        return self.title.lower().partition(" per ")[0].replace(" ", "-")

    @property
    def empty(self) -> bool:
        """Return whether there is nothing to draw."""
        return not any(line.way or line.dots for line in self.lines)


@dataclass(frozen=True, slots=True)
class Frame:
    """The time of a chart: `seconds` up to `now` (epoch seconds). A line breaks after `gap` seconds without a point."""

    now: float
    seconds: float
    gap: float

    def draw(
        self,
        title: str,
        since: str,
        series: Series,
        target: float | None = None,
        say: Callable[[float], str] = plain,
    ) -> Chart:
        """Return the chart of some series, whose values `say` puts into words; the points of each are oldest first."""
        thinned = {name: _thinned(points, self.seconds / _PLACES) for name, points in series.items()}
        highest = max((point.value for points in thinned.values() for point in points), default=0.0)
        drawn = target if target and (not highest or target <= _TARGET_REACHES * highest) else None
        top = nice(max(highest, 1.2 * drawn if drawn else 0.0))
        words = "; ".join(_words(name, points, say) for name, points in thinned.items())
        return Chart(
            title=title,
            since=since,
            top=say(top),
            lines=tuple(Curve(name, *self._ways(points, top)) for name, points in thinned.items()),
            words=f"{title}, {since} to now: {words}" + (f"; target {target:g}" if target else ""),
            values=self._values(thinned, say),
            target=round(_height(drawn, top), 1) if drawn else None,
            target_name=_target_name(target, drawn),
        )

    def _ways(self, points: Sequence[Point], top: float) -> tuple[str, str]:
        runs = list(self._runs(points))
        ways = [[f"{self._place(point):.1f} {_height(point.value, top):.1f}" for point in run] for run in runs]
        lines = "".join("M" + "L".join(way) for way in ways if len(way) > 1)
        # A line of no length is a dot, as its ends are round.
        return lines, "".join(f"M{way[0]}h0" for way in ways if len(way) == 1)

    def _runs(self, points: Sequence[Point]) -> Iterator[list[Point]]:
        """Yield the points that belong together."""
        run: list[Point] = []
        for point in points:
            if run and point.at - run[-1].at > self.gap:
                yield run
                run = []
            run.append(point)
        if run:
            yield run

    def _place(self, point: Point) -> float:
        return min(max((point.at - self.now + self.seconds) / self.seconds * WIDTH, 0.0), WIDTH)

    def _values(self, series: Series, say: Callable[[float], str]) -> str:
        lines = {
            name: [[round(self._place(point), 1), say(point.value)] for point in points]
            for name, points in series.items()
        }
        values = {"since": round(self.now - self.seconds), "seconds": self.seconds, "width": WIDTH, "lines": lines}
        return json.dumps(values, separators=(",", ":"))


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


def _words(name: str, points: Sequence[Point], say: Callable[[float], str]) -> str:
    if not points:
        return f"{name} unknown, no data"
    return f"{name} now {say(points[-1].value)}, at most {say(max(point.value for point in points))}"
