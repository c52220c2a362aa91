"""Draw an answered photo again, from what is stored of it: the photo, or the worker's copy, and its boxes."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from detection.record import images
from detection.record.schemas import Detection, Options, Prediction

# The libraries take 40 MB, which a site spends once somebody presses a button.
if TYPE_CHECKING:
    from detection.picture.pixels import OrdinaryJpeg
    from detection.picture.render import Scene

log = structlog.get_logger()

# More than this is scaled down.
_FILE_AT_MOST_BYTES = 25_000_000


def picture(prediction: Prediction, shown: Sequence[Detection], options: Options) -> bytes:
    """Return the photo with its boxes as JPEG. Raise images.ImageGone, as all of these do."""
    from detection.picture import render

    return render.picture(_scene(prediction), shown, options)


def full(prediction: Prediction, shown: Sequence[Detection], options: Options) -> tuple[bytes, bool]:
    """Return the picture of a file, and whether it has the file's full resolution."""
    from detection.picture import full_size, strips

    stored = _stored(prediction.copy_key)
    copy = strips.read(stored) if stored else None
    if copy is None:
        # A worker of the release before, or a file that can't be decoded at its full size.
        return picture(prediction, shown, options), False
    for shrink in (1, 2, 4):
        size = -(-copy.width // shrink), -(-copy.height // shrink)
        try:
            blocks = full_size.people(copy.small(), prediction.candidates, size) if options.blur else []
            drawn = full_size.FullPicture(
                size,
                shown,
                prediction.classes,
                labelled=options.labels,
                blocks=blocks,
                at_most_bytes=_FILE_AT_MOST_BYTES,
            )
            for rows in copy.strips(shrink):
                drawn.add(rows)
            return drawn.finish(), shrink == 1
        except (strips.TooLarge, ValueError) as error:
            # Too many bytes, or a damaged copy.
            log.info("full_picture_too_large", shrink=shrink, reason=str(error))
    return picture(prediction, shown, options), False


def original(prediction: Prediction, shown: Sequence[Detection], options: Options) -> bytes:
    """Return a photo with its boxes at its full resolution."""
    from detection.picture import full_size, pixels

    jpeg = pixels.ordinary_jpeg(images.get(prediction.image_key))
    image = jpeg.decode(least_side=math.inf) if jpeg else None
    if image is None:
        raise images.ImageGone("the photo cannot be decoded here")
    height, width = image.shape[:2]
    blocks = full_size.people(image, prediction.candidates, (width, height)) if options.blur else []
    drawn = full_size.FullPicture((width, height), shown, prediction.classes, labelled=options.labels, blocks=blocks)
    drawn.add(image)
    return drawn.finish()


def crops(prediction: Prediction, shown: Sequence[Detection], options: Options, most: int) -> list[bytes]:
    """Return the first objects that are shown, cut out of the photo."""
    from detection.picture import render

    return render.crops(_scene(prediction), shown, most, options)


def size(prediction: Prediction) -> tuple[int, int]:
    """Return the width and height of the photo, in pixels."""
    photo = _photo(prediction)
    return photo.width, photo.height


def photo(prediction: Prediction) -> bytes:
    """Return the photo alone, as JPEG."""
    from detection.picture import pixels

    return pixels.encode_jpeg(_scene(prediction).image, quality=90)


def _scene(prediction: Prediction) -> "Scene":
    from detection.picture.render import Scene

    image = _photo(prediction).decode()
    if image is None:
        raise images.ImageGone("the photo cannot be decoded here")
    return Scene(image, prediction.candidates, prediction.classes)


def _photo(prediction: Prediction) -> "OrdinaryJpeg":
    """Return the photo; for a file, the worker's copy of it. Raise images.ImageGone."""
    from detection.picture import pixels, strips

    keys = (prediction.image_key, prediction.copy_key)
    for key in reversed(keys) if prediction.as_file else keys:
        stored = _stored(key)
        if stored and (copy := strips.read(stored)):
            return copy.whole
        if stored and (jpeg := pixels.ordinary_jpeg(stored)):
            return jpeg
    raise images.ImageGone("there is no copy that a site decodes")


def _stored(key: str) -> bytearray | None:
    try:
        return images.get(key)
    except images.ImageGone:
        return None
