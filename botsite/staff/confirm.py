"""Ask an operator to confirm: the one page for everything that is done to selected jobs or letters."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse

from botsite.staff import pages


@dataclass(frozen=True, slots=True)
class Row:
    """One of the things it is about; `address` is its page, if it has one."""

    name: str
    note: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask: "Yes" does it to `rows`, "No" leads to the page `back`. The operator can edit `sentence`.

    `more` says what else it is about, where `rows` are only the first. `hidden` are ids that the form sends along.
    """

    title: str
    text: str
    button: str
    rows: tuple[Row, ...]
    back: str
    back_name: str
    possible: bool = True
    sentence: str = ""
    longest: int = 0
    more: str = ""
    hidden: tuple[str, ...] = ()


def selected(request: HttpRequest, at_most: int) -> list[str]:
    """Return the `id`s of the address, each once, at most this many."""
    return list(dict.fromkeys(request.GET.getlist("id")))[:at_most]


def page(request: HttpRequest, question: Question) -> HttpResponse:
    """Return the page that asks; its form is sent to the same address."""
    return pages.render(request, "confirm", {"title": question.title, "question": question})
