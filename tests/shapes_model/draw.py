"""Draw photos of circles, squares and triangles whose boxes are known.

The shapes model learns from these drawings, and its test compares it with them. The demo sends a committed one,
deploy/local/shapes/drawing.jpg, where it has no model of everyday objects.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

CORNERS = {"circle": 120, "square": 4, "triangle": 3}  # 120 corners are a circle to any eye and any model.
LABELS = tuple(CORNERS)
SMALLEST, LARGEST = 0.08, 0.56  # Diameter of the circle around a shape, as a fraction of the shorter side.
SUPERSAMPLING = 4  # Masks are drawn this many times larger and reduced, because Pillow does not smooth edges.

Points = NDArray[np.float64]  # (corners, 2): x and y in pixels


@dataclass(frozen=True)
class Shape:
    """A drawn shape and its upright box as fractions of the image (YOLO's xywhn)."""

    label: str
    cx: float
    cy: float
    width: float
    height: float


@dataclass(frozen=True)
class DrawnPhoto:
    """An RGB image and all that was drawn on it."""

    image: Image.Image
    shapes: list[Shape]


def draw_sample() -> DrawnPhoto:
    """Draw what the demo sends: three circles, a square and two triangles."""
    return draw_photo(seed=7, width=960, height=720, objects=6)


def draw_photo(
    seed: int, width: int = 640, height: int = 480, objects: int | None = None, *, clean: bool = False
) -> DrawnPhoto:
    """Draw `objects` shapes, 1 to 6 unless told, on a photo-like background.

    The same arguments give the same pixels. `clean` leaves out the clutter and what a bad camera adds (blur,
    noise, wrong exposure, JPEG blocks). Shapes lie inside the image and hardly overlap.
    """
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 7)) if objects is None else objects
    image = _background(rng, width, height, clean)
    shapes, boxes = [], np.empty((0, 4))
    for _ in range(count):
        label = LABELS[rng.integers(len(LABELS))]
        outline = _place(rng, label, (width, height), boxes)
        _paint(rng, image, outline)
        left, top, right, bottom = box = _box(outline)
        boxes = np.vstack([boxes, box])
        centre = ((left + right) / 2 / width, (top + bottom) / 2 / height)
        shapes.append(Shape(label, *centre, (right - left) / width, (bottom - top) / height))
    return DrawnPhoto(image if clean else _photographed(rng, image), shapes)


def _background(rng: np.random.Generator, width: int, height: int, clean: bool) -> Image.Image:
    """Return a colour gradient with the texture of clouds or wood, and some lines unless `clean`."""
    first, second = rng.uniform(150 if clean else 20, 235, (2, 3))
    second = first + (second - first) * (0.35 if clean else 0.7)
    angle = rng.uniform(0, 2 * np.pi)
    x = np.linspace(-0.5, 0.5, width) * np.cos(angle)
    y = np.linspace(-0.5, 0.5, height) * np.sin(angle)
    slope = ((x + y[:, None] + 0.7) / 1.4).astype(np.float32)[..., None]
    grain = _texture(rng, width, height)[..., None] * np.float32(rng.uniform(3, 8 if clean else 25))
    tint = rng.uniform(0.6, 1, 3).astype(np.float32)
    pixels = first.astype(np.float32) + slope * (second - first).astype(np.float32) + grain * tint
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")
    for _ in range(0 if clean else rng.integers(0, 6)):
        ends = rng.uniform(-0.2, 1.2, (2, 2)) * (width, height)
        ImageDraw.Draw(image).line(ends.ravel().tolist(), _colour(rng), int(rng.integers(1, 5)))
    return image


def _texture(rng: np.random.Generator, width: int, height: int) -> NDArray[np.float32]:
    """Return smooth noise around 0: clouds where the grid is square, grain of wood where it is not."""
    columns, rows = rng.integers(3, 60, 2)
    coarse = rng.normal(size=(rows, columns)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


def _place(rng: np.random.Generator, label: str, size: tuple[int, int], boxes: NDArray[np.float64]) -> Points:
    """Return the outline of a shape of random size, place and rotation that hardly overlaps `boxes`.

    A shape that finds no room becomes smaller, so that a full image still gets all its shapes.
    """
    corners = 2 * np.pi * np.arange(CORNERS[label]) / CORNERS[label] + rng.uniform(0, 2 * np.pi)
    diameter = min(size) * (SMALLEST + (LARGEST - SMALLEST) * rng.beta(1.2, 2.0))
    while True:
        shape = np.column_stack([np.cos(corners), np.sin(corners)]) * diameter / 2
        low, high = 2 - shape.min(axis=0), np.array(size) - 2 - shape.max(axis=0)
        for centre in rng.uniform(low, high, (10, 2)):
            if _overlap(_box(shape + centre), boxes) < 0.05:
                return shape + centre
        diameter *= 0.85


def _box(outline: Points) -> NDArray[np.float64]:
    """Return left, top, right and bottom in pixels."""
    return np.concatenate([outline.min(axis=0), outline.max(axis=0)])


def _overlap(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> float:
    """Return the largest intersection of `box` with one of `boxes`, as a part of the smaller of the two."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    smaller = np.minimum(np.prod(box[2:] - box[:2]), np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
    return float(np.max(np.prod(sides.clip(0), axis=1) / smaller, initial=0))


def _paint(rng: np.random.Generator, image: Image.Image, outline: Points) -> None:
    """Paint one shape with its shadow, a light from one side and, now and then, a rim."""
    left, top, right, bottom = _box(outline)
    margin = int(max(right - left, bottom - top) / 6) + 3
    corner = (int(left) - margin, int(top) - margin)
    size = (int(right) + margin - corner[0], int(bottom) + margin - corner[1])
    mask = _mask(outline - corner, size)
    shift = (corner[0] + int(rng.integers(-2, 3)), corner[1] + int(rng.integers(0, 4)))
    shadow = mask.filter(ImageFilter.GaussianBlur(margin / 4)).point(lambda value: value * 0.35)
    image.paste((0, 0, 0), shift, shadow)
    under = np.asarray(image.crop((int(left), int(top), int(right), int(bottom)))).mean(axis=(0, 1))
    colours = [np.array(_colour(rng), dtype=float) for _ in range(4)]
    colour = max(colours, key=lambda candidate: float(np.linalg.norm(candidate - under)))
    if rng.random() < 0.25:
        image.paste(tuple((colour * 0.5).astype(int).tolist()), corner, mask)
        centre = outline.mean(axis=0)
        mask = _mask((outline - centre) * 0.88 + centre - corner, size)
    light = np.linspace(rng.uniform(0, 30), -rng.uniform(0, 30), size[1])[:, None, None]
    pixels = np.broadcast_to(np.clip(colour + light, 0, 255), (size[1], size[0], 3))
    image.paste(Image.fromarray(pixels.astype(np.uint8), "RGB"), corner, mask)


def _mask(outline: Points, size: tuple[int, int]) -> Image.Image:
    large = Image.new("L", (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING))
    ImageDraw.Draw(large).polygon((outline * SUPERSAMPLING).ravel().tolist(), fill=255)
    return large.reduce(SUPERSAMPLING)


def _photographed(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """Return the image as a cheap camera would store it: exposed wrongly, blurred, noisy, compressed."""
    image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.6, 1.3))
    image = ImageEnhance.Contrast(image).enhance(rng.uniform(0.7, 1.2))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.6) * image.width / 640))
    noise = rng.standard_normal((image.height, image.width, 3), dtype=np.float32)
    pixels = np.clip(np.asarray(image) + noise * np.float32(rng.uniform(0, 10)), 0, 255).astype(np.uint8)
    stored = io.BytesIO()
    Image.fromarray(pixels, "RGB").save(stored, "JPEG", quality=int(rng.integers(35, 96)))
    return Image.open(stored).convert("RGB")
