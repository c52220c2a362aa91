"""Give each class of a model a colour of its own, the same in every photo."""

# Blue, green, red from 0 to 255.
Colour = tuple[int, int, int]

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
# Okabe and Ito, "Color Universal Design" (2008): told apart with any kind of colour vision. Their black would be lost
# in the dark of a photo, and is left out.
_COLOURS: tuple[Colour, ...] = (
    (178, 114, 0), (0, 159, 230), (115, 158, 0), (167, 121, 204), (233, 180, 86), (0, 94, 213), (66, 228, 240),
)  # fmt: skip


def colour(number: int) -> Colour:
    """Return the colour of a class by its number in the model. With more classes than colours, some share one."""
    return _COLOURS[number % len(_COLOURS)]


def ink(ground: Colour) -> Colour:
    """Return black or white, whichever is easier to read on the ground."""
    return max(BLACK, WHITE, key=lambda text: contrast(text, ground))


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast of two colours as WCAG 2 defines it, from 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Colour) -> float:
    blue, green, red = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return float(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4)
