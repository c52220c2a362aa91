"""What the 80 classes of COCO, which the default model knows, are called: one, and several.

The tables are English, the keys of the catalogues.
"""

from botsite.bot.language import ENGLISH, current, gettext, isolated, ngettext

PLURALS = {
    "person": "people", "bicycle": "bicycles", "car": "cars", "motorcycle": "motorcycles", "airplane": "airplanes",
    "bus": "buses", "train": "trains", "truck": "trucks", "boat": "boats", "traffic light": "traffic lights",
    "fire hydrant": "fire hydrants", "stop sign": "stop signs", "parking meter": "parking meters", "bench": "benches",
    "bird": "birds", "cat": "cats", "dog": "dogs", "horse": "horses", "sheep": "sheep", "cow": "cows",
    "elephant": "elephants", "bear": "bears", "zebra": "zebras", "giraffe": "giraffes", "backpack": "backpacks",
    "umbrella": "umbrellas", "handbag": "handbags", "tie": "ties", "suitcase": "suitcases", "frisbee": "frisbees",
    "skis": "pairs of skis", "snowboard": "snowboards", "sports ball": "sports balls", "kite": "kites",
    "baseball bat": "baseball bats", "baseball glove": "baseball gloves", "skateboard": "skateboards",
    "surfboard": "surfboards", "tennis racket": "tennis rackets", "bottle": "bottles", "wine glass": "wine glasses",
    "cup": "cups", "fork": "forks", "knife": "knives", "spoon": "spoons", "bowl": "bowls", "banana": "bananas",
    "apple": "apples", "sandwich": "sandwiches", "orange": "oranges", "broccoli": "broccoli", "carrot": "carrots",
    "hot dog": "hot dogs", "pizza": "pizzas", "donut": "donuts", "cake": "cakes", "chair": "chairs",
    "couch": "couches", "potted plant": "potted plants", "bed": "beds", "dining table": "dining tables",
    "toilet": "toilets", "tv": "TVs", "laptop": "laptops", "mouse": "mice", "remote": "remotes",
    "keyboard": "keyboards", "cell phone": "cell phones", "microwave": "microwaves", "oven": "ovens",
    "toaster": "toasters", "sink": "sinks", "refrigerator": "refrigerators", "book": "books", "clock": "clocks",
    "vase": "vases", "scissors": "pairs of scissors", "teddy bear": "teddy bears", "hair drier": "hair driers",
    "toothbrush": "toothbrushes",
}  # fmt: skip
# What the model that comes with the project knows.
SHAPES = {"circle": "circles", "square": "squares", "triangle": "triangles"}
NAMED = PLURALS | SHAPES
# Those that are not called by their label when there is one.
SINGULARS = {"skis": "pair of skis", "scissors": "pair of scissors", "tv": "TV"}
# Those that are not called "a ..." when there is one.
_UNCOUNTED = {"broccoli": "some broccoli"}


def called(label: str, number: int = 1) -> str:
    """Return what so many objects with this label are called in the current language, without the number."""
    name = ngettext(singular(label), plural(label), number)
    return isolated(name) if name.isascii() else name


def called_one(label: str) -> str:
    """Return what one object with this label is called in a sentence in the current language: "ein Hund"."""
    name = gettext(one(label))
    # A class that the catalogue lacks has no article: "a" would be English.
    return called(label) if name == one(label) and current() != ENGLISH else name


def labels_by_name() -> dict[str, str]:
    """Return the labels of the classes that have names in the current language, by all those names in lower case."""
    # One number for each form of the languages' plurals.
    numbers = (1, 2, 3, 11, 100)
    return {ngettext(singular(label), plural(label), number).lower(): label for label in NAMED for number in numbers}


def singular(label: str) -> str:
    """Return what one object with this label is called."""
    return SINGULARS.get(label, label)


def one(label: str) -> str:
    """Return what one object with this label is called in a sentence: "a dog", "an apple"."""
    name = singular(label)
    return _UNCOUNTED.get(label, f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}")


def plural(label: str) -> str:
    """Return what several objects with this label are called; a label of another model gets a regular plural."""
    if label in NAMED:
        return NAMED[label]
    if label.endswith(("s", "x", "z", "ch", "sh")):
        return f"{label}es"
    if label.endswith("y") and label[-2:-1] not in "aeiou":
        return f"{label[:-1]}ies"
    return f"{label}s"
