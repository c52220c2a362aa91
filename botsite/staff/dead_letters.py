"""Dead letters: list them, and replay or delete those an operator means."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from django.contrib import messages
from django.contrib.admin.utils import quote
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from botsite.staff import access, audit, letter_rows, pages
from botsite.staff.letter_rows import LetterLine
from botsite.staff.pages import Question, Subject
from detection.work import dead_letters
from detection.work.dead_letters import DeadLetter

SHOWN_AT_MOST = 100


@dataclass(frozen=True, slots=True)
class _Operation:
    """Something to do to letters; `run` returns whether it could be done now."""

    name: str
    button: str
    question: str
    of_many: str
    done: str
    run: Callable[[DeadLetter], bool]


def _delete(letter: DeadLetter) -> bool:
    dead_letters.delete(letter)
    return True


_REPLAY = _Operation(
    "replay",
    "Replay",
    "Put this dead letter back into the jobs queue? Its job is processed and answered again.",
    "Put these {count} dead letters back into the jobs queue? Each job is processed and answered again.",
    "Replayed",
    dead_letters.replay,
)
_DELETE = _Operation(
    "delete letter",
    "Delete",
    "Permanently delete this dead letter? If it is a job's, the job stays in the list as it is.",
    "Permanently delete these {count} dead letters? The jobs among them stay in the list as they are.",
    "Deleted",
    _delete,
)


@require_GET
@access.needs("view")
def list_letters(request: HttpRequest) -> HttpResponse:
    """List dead letters. Looking means receiving: for that moment, nobody else sees them."""
    total, letters = dead_letters.count(), dead_letters.look(SHOWN_AT_MOST)
    lines = letter_rows.lines(letters)
    context = {
        "title": "Dead letters",
        "lines": lines,
        "summary": letter_rows.summary(lines),
        "total": max(total, len(letters)),
        "may_replay": access.may(request.user, "change"),
        "may_delete": access.may(request.user, "delete"),
    }
    return pages.render(request, "dead_letters", context)


@require_http_methods(["GET", "POST"])
@access.needs("change")
def replay(request: HttpRequest) -> HttpResponse:
    """Ask on GET, act on POST. The letters are the `id`s of the address."""
    return _selected(request, _REPLAY)


@require_http_methods(["GET", "POST"])
@access.needs("delete")
def delete(request: HttpRequest) -> HttpResponse:
    """Ask on GET, act on POST. The letters are the `id`s of the address."""
    return _selected(request, _DELETE)


@require_http_methods(["GET", "POST"])
@access.needs("delete")
def delete_all(request: HttpRequest) -> HttpResponse:
    """Ask on GET about every letter there is, up to some hundreds; on POST delete those, and none that came later."""
    if request.method == "POST":
        return _act(request, _DELETE, request.POST.getlist("id"))
    letters = dead_letters.look()
    if not letters:
        return HttpResponseRedirect(reverse("ops:letters"))
    return pages.ask(request, _question(_DELETE, letters, hidden=True))


def _selected(request: HttpRequest, operation: _Operation) -> HttpResponse:
    ids = pages.selected(request, SHOWN_AT_MOST)
    if not ids:
        messages.warning(request, "Select at least one letter.")
        return HttpResponseRedirect(reverse("ops:letters"))
    if request.method == "POST":
        return _act(request, operation, ids)
    with closing(dead_letters.chosen(ids)) as found:
        letters = list(found)
    if not letters:
        _miss(request, len(ids))
        return HttpResponseRedirect(reverse("ops:letters"))
    return pages.ask(request, _question(operation, letters))


def _question(operation: _Operation, letters: Sequence[DeadLetter], hidden: bool = False) -> Question:
    lines = letter_rows.lines(letters[:SHOWN_AT_MOST])
    more = len(letters) - len(lines)
    return Question(
        title=f"{operation.button} {'this dead letter' if len(letters) == 1 else f'{len(letters)} dead letters'}",
        text=operation.question if len(letters) == 1 else operation.of_many.format(count=len(letters)),
        button=operation.button,
        rows=tuple(map(_row, lines)),
        more=f"and {more} more" if more else "",
        back=reverse("ops:letters"),
        back_name="Dead letters",
        hidden=tuple(letter.message_id for letter in letters) if hidden else (),
    )


def _row(line: LetterLine) -> Subject:
    address = reverse("admin:detection_job_change", args=[quote(line.job)]) if line.job else ""
    return Subject(line.job or f"letter {line.letter.message_id}", line.cause, address)


def _act(request: HttpRequest, operation: _Operation, ids: Sequence[str]) -> HttpResponse:
    done: list[DeadLetter] = []
    busy = 0
    with closing(dead_letters.chosen(ids)) as found:
        for letter in found:
            _record(request, operation, letter)
            if operation.run(letter):
                done.append(letter)
            else:
                busy += 1
    if done:
        first = done[0].prediction_id or done[0].message_id
        messages.success(request, f"{operation.done}: {first if len(done) == 1 else f'{len(done)} letters'}.")
    if busy:
        messages.error(request, f"{_letters(busy)} can't be replayed yet. Try again in two minutes.")
    _miss(request, len(ids) - len(done) - busy)
    return HttpResponseRedirect(reverse("ops:letters"))


def _miss(request: HttpRequest, gone: int) -> None:
    if gone:
        are = "is" if gone == 1 else "are"
        text = "already replayed or deleted, or being read somewhere else right now."
        messages.error(request, f"{_letters(gone)} {are} gone: {text}")


def _letters(count: int) -> str:
    return f"{count} selected letter{'' if count == 1 else 's'}"


def _record(request: HttpRequest, operation: _Operation, letter: DeadLetter) -> None:
    sentence = f"{operation.done} from the dead-letter queue."
    audit.attempt(request, operation.name, message_id=letter.message_id, prediction_id=letter.prediction_id)
    if letter.prediction_id:
        audit.changed(request, operation.name, letter.prediction_id, sentence)
    else:
        audit.letter(request, letter.message_id, sentence)
