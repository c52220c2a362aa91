"""Lay boxes of text out in columns, with lines between them, as SVG: real text, readable on dark and on light."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

Contents = Mapping[str, tuple[str, Sequence[str]]]  # box -> its title and its lines

_WIDTH, _GAP, _BETWEEN, _MARGIN = 350, 22, 84, 24
_LINE, _TITLE, _PADDING = 15, 20, 10
_STYLE = """
svg { background: #ffffff; font-family: ui-sans-serif, system-ui, sans-serif; font-size: 12px }
.paper { fill: #ffffff } .box { fill: #f6f8fa; stroke: #59636e } .frame { fill: none; stroke: #0969da }
.frame { stroke-dasharray: 6 4 } text { fill: #1f2328 } .title { font-weight: 600; font-size: 13px }
.line { fill: none; stroke: #0969da; stroke-width: 1.4 } .head { fill: #0969da }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117 } .paper { fill: #0d1117 } .box { fill: #151b23; stroke: #9198a1 } text { fill: #f0f6fc }
.frame { stroke: #58a6ff } .line { stroke: #58a6ff } .head { fill: #58a6ff } }
"""


@dataclass(frozen=True)
class Place:
    """Where a box stands, in pixels; `column` counts from the left."""

    column: int
    x: int
    y: int
    height: int

    @property
    def middle(self) -> int:
        """Return the height of its middle."""
        return self.y + self.height // 2


def picture(contents: Contents, frame: str, columns: Sequence[Sequence[str]], lines: Sequence[tuple[str, str]]) -> str:
    """Return the picture: the first column stands in the box `frame`, whose text is above it."""
    top = _MARGIN + _height(contents[frame][1]) + _GAP
    places = places_of(contents, columns, top)
    bottom = max(place.y + place.height for place in places.values()) + _MARGIN
    width = 2 * _MARGIN + len(columns) * _WIDTH + (len(columns) - 1) * _BETWEEN + 2 * _GAP
    root = ElementTree.Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {bottom}",
        role="img",
        attrib={"width": str(width)},
    )
    ElementTree.SubElement(root, "title").text = "Architecture of the object detection service"
    ElementTree.SubElement(root, "style").text = _STYLE
    _add(root, "rect", "paper", width=width, height=bottom)
    end = max(places[box].y + places[box].height for box in columns[0])
    _add(root, "rect", "frame", x=_MARGIN, y=_MARGIN, width=_WIDTH + 2 * _GAP, height=end + _GAP - _MARGIN, rx=8)
    _text(root, contents[frame], _MARGIN + _GAP, _MARGIN)
    for number, (source, target) in enumerate(lines):
        _arrow(root, places[source], places[target], number)
    for box, place in places.items():
        _add(root, "rect", "box", x=place.x, y=place.y, width=_WIDTH, height=place.height, rx=6)
        _text(root, contents[box], place.x + _PADDING, place.y)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def places_of(contents: Contents, columns: Sequence[Sequence[str]], top: int) -> dict[str, Place]:
    """Return where each box stands: below the one before it in its column; the first column begins at `top`."""
    places = {}
    heights = {name: _height(contents[name][1]) for names in columns for name in names}
    below = sum(heights[name] + _GAP for name in columns[0])
    for column, names in enumerate(columns):
        # The others are spread over the height of the first.
        gap = _GAP if column == 0 else (below - sum(heights[name] for name in names)) // len(names)
        y = top
        for name in names:
            places[name] = Place(column, _MARGIN + _GAP + column * (_WIDTH + _BETWEEN), y, heights[name])
            y += heights[name] + gap
    return places


def _arrow(root: ElementTree.Element, source: Place, target: Place, number: int) -> None:
    """Draw a line: between columns it is straight, within one it goes around on the left."""
    # Apart from each other, where many begin or end at one box.
    shift = (number % 5 - 2) * 9
    if source.column == target.column:
        x, out = source.x, source.x - 6 - 3 * (number % 5)
        start, end = source.middle + shift, target.middle + shift
        path, tip = f"M{x},{start} H{out} V{end} H{x - 5}", f"M{x},{end} l-7,-4 v8 z"
    else:
        right = target.column > source.column
        x1, x2 = (source.x + _WIDTH, target.x) if right else (source.x, target.x + _WIDTH)
        back = -7 if right else 7
        start, end = source.middle + shift, target.middle + shift
        bend = (x1 + x2) // 2
        path = f"M{x1},{start} C{bend},{start} {bend},{end} {x2 + back},{end}"
        tip = f"M{x2},{end} l{back},-4 v8 z"
    _add(root, "path", "line", d=path)
    _add(root, "path", "head", d=tip)


def _text(root: ElementTree.Element, content: tuple[str, Sequence[str]], x: int, y: int) -> None:
    title, lines = content
    _add(root, "text", "title", x=x, y=y + _TITLE).text = title
    for number, line in enumerate(lines, 1):
        _add(root, "text", "", x=x, y=y + _TITLE + number * _LINE).text = line.replace("   ", "\u2003")


def _height(lines: Sequence[str]) -> int:
    return _TITLE + len(lines) * _LINE + _PADDING


def _add(parent: ElementTree.Element, tag: str, style: str, **attributes: object) -> ElementTree.Element:
    named = {"class": style} if style else {}
    return ElementTree.SubElement(parent, tag, named | {name: str(value) for name, value in attributes.items()})
