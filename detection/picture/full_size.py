"""Draw into a photo at its full resolution, strip by strip, so that it needs no memory beyond the picture itself."""

from collections.abc import Iterable, Mapping, Sequence

from detection.picture import blur
from detection.picture import draw as drawing
from detection.picture.blur import Block
from detection.picture.render import Scene
from detection.picture.strips import ROWS, Rows, Writer
from detection.record.schemas import PERSON, Detection, Options

# Telegram takes files of 50 MB from bots.
AT_MOST_BYTES = 49_000_000


class FullPicture:
    """A picture of a photo of this width and height (pixels) that grows by the photo's rows."""

    def __init__(
        self,
        size: tuple[int, int],
        shown: Sequence[Detection],
        classes: Mapping[str, int],
        *,
        labelled: bool = True,
        blocks: Sequence[Block] = (),
        at_most_bytes: int = AT_MOST_BYTES,
    ) -> None:
        """Begin a picture with these boxes, and with blocks over what is to be hidden."""
        width, height = size
        self._top, self._writer, self._blocks = 0, Writer(width, at_most_bytes), blocks
        self._plan = drawing.plan(shown, classes, width, height, labelled=labelled) if shown else None

    def add(self, rows: Rows) -> None:
        """Draw into the next rows, in place. Raise strips.TooLarge."""
        for block in self._blocks:
            block.fill(rows, self._top)
        if self._plan:
            self._plan.onto(rows, self._top)
        self._top += len(rows)
        self._writer.add(rows)

    def finish(self) -> bytes:
        """Return it as JPEG, with its legend. Raise strips.TooLarge."""
        legend = self._plan.legend() if self._plan else None
        if legend is not None:
            for start in range(0, len(legend), ROWS):
                self._writer.add(legend[start : start + ROWS])
        return self._writer.finish()


def people(image: Rows, candidates: Sequence[Detection], size: tuple[int, int]) -> list[Block]:
    """Return the blocks that hide people's heads in a picture of this size; the image may be smaller."""
    return blur.blocks(image, [box for box in candidates if box.label == PERSON], *size)


def draw(
    strips: Iterable[Rows], size: tuple[int, int], scene: Scene, shown: Sequence[Detection], options: Options
) -> tuple[bytes, bytes]:
    """Return the photo and its picture as JPEGs that are read strip by strip. Raise strips.TooLarge.

    The scene's image may be smaller than the photo.
    """
    blocks = people(scene.image, scene.candidates, size) if options.blur else []
    picture = FullPicture(size, shown, scene.classes, labelled=options.labels, blocks=blocks)
    copy = Writer(size[0], AT_MOST_BYTES)
    for rows in strips:
        # The copy keeps what it has not coded yet.
        copy.add(rows.copy())
        picture.add(rows)
    return copy.finish(), picture.finish()
