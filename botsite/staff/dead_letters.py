"""Dead letters: list them, and replay those an operator selects."""

from contextlib import closing
from datetime import UTC, datetime

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from botsite.staff import access, audit, confirm, pages
from botsite.staff.confirm import Question, Row
from detection import dead_letters
from detection.dead_letters import DeadLetter

SHOWN_AT_MOST = 100
_RECORDED = "Replayed from the dead-letter queue."


@require_GET
@access.needs("view")
def show(request: HttpRequest) -> HttpResponse:
    """List dead letters. Looking means receiving: for that moment, nobody else sees them."""
    total, letters = dead_letters.count(), dead_letters.look(SHOWN_AT_MOST)
    context = {
        "title": "Dead letters",
        "rows": [(letter, datetime.fromtimestamp(letter.sent_at / 1000, UTC)) for letter in letters],
        "total": max(total, len(letters)),
        "may_replay": access.may(request.user, "change"),
    }
    return pages.render(request, "dead_letters", context)


@require_http_methods(["GET", "POST"])
@access.needs("change")
def replay(request: HttpRequest) -> HttpResponse:
    """Ask on GET, act on POST. The letters are the `id`s of the address."""
    ids = confirm.selected(request, SHOWN_AT_MOST)
    if not ids:
        messages.warning(request, "Select at least one letter.")
    elif request.method == "POST":
        _replay(request, ids)
    else:
        return confirm.page(request, _question(ids))
    return HttpResponseRedirect(reverse("ops:letters"))


def _question(ids: list[str]) -> Question:
    what = "this dead letter" if len(ids) == 1 else f"these {len(ids)} dead letters"
    return Question(
        title="Replay",
        text=f"Put {what} back into the jobs queue? Each job is processed and answered again.",
        button="Replay",
        rows=tuple(map(Row, ids)),
        back=reverse("ops:letters"),
        back_name="Dead letters",
    )


def _replay(request: HttpRequest, ids: list[str]) -> None:
    replayed: list[DeadLetter] = []
    busy = 0
    with closing(dead_letters.chosen(ids)) as found:
        for letter in found:
            _record(request, letter)
            if dead_letters.replay(letter):
                replayed.append(letter)
            else:
                busy += 1
    if replayed:
        first = replayed[0].prediction_id or replayed[0].message_id
        messages.success(request, f"Replayed: {first if len(replayed) == 1 else f'{len(replayed)} letters'}.")
    if busy:
        messages.error(request, f"{_selected(busy)} can't be replayed yet. Try again in two minutes.")
    if gone := len(ids) - len(replayed) - busy:
        are = "is" if gone == 1 else "are"
        messages.error(request, f"{_selected(gone)} {are} gone: already replayed, or being viewed by someone else.")


def _selected(count: int) -> str:
    return f"{count} selected letter{'' if count == 1 else 's'}"


def _record(request: HttpRequest, letter: DeadLetter) -> None:
    audit.attempt(request, "replay", message_id=letter.message_id, prediction_id=letter.prediction_id)
    if letter.prediction_id:
        audit.changed(request, "replay", letter.prediction_id, _RECORDED)
    else:
        audit.letter(request, letter.message_id, _RECORDED)
