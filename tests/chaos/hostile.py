"""Files that cost their reader more than they should, among good photos. Nothing is shortened here."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from botsite.bot.words import replies
from tests.chaos.cells import Cell, Scene, judge
from tests.chaos.crowd import Crowd, Sent
from tests.chaos.steady import p95, photos, while_calm
from tests.support import hostile as zoo_module
from tests.support.hostile import Hostile, Outcome, zoo

_PHOTO_EVERY_SECONDS = 0.5
_CALM_SECONDS = 40.0
_ANSWER_SECONDS = 30.0
# How long is waited for an answer that comes too late, to tell how late.
_LATE_SECONDS = 90.0
_SHOWN_CHARACTERS = 50
_PICTURE, _NOTHING_FOUND, _NO_ANSWER = "boxes", "nothing found", "no answer"


@dataclass(frozen=True)
class Came:
    """What somebody got for a hostile file, and after how many seconds."""

    file: Hostile
    what: str
    seconds: float | None

    @property
    def late(self) -> bool:
        """Return whether the answer did not come, or took too long."""
        return self.seconds is None or self.seconds > _ANSWER_SECONDS

    @property
    def wrong(self) -> bool:
        """Return whether a readable picture was not boxed."""
        return self.file.outcome is Outcome.BOXED and self.what != _PICTURE

    def __str__(self) -> str:
        seconds = "" if self.seconds is None else f" {self.seconds:.1f} s"
        return f"{self.file.name}: {self.what}{seconds}"


def hostile(every_seconds: float, at_most: int | None) -> Iterator[Cell]:
    """Yield the cell in which a file of each kind is sent once, or of some kinds."""

    def play(scene: Scene, crowd: Crowd) -> str:
        scene.stack.step("hostile files: making them")
        files = list(zoo(scene.whole_photo))[:at_most]
        made = [(file, _made(scene, file)) for file in files]
        with scene.stack.unhurried():
            return _among_photos(scene, crowd, made, every_seconds)

    yield Cell("hostile", f"a file of each kind, one each {every_seconds:g} s", play, people=40)


def _among_photos(scene: Scene, crowd: Crowd, made: Sequence[tuple[Hostile, bytes]], every_seconds: float) -> str:
    scene.stack.step("hostile files: how long answers take without them")
    calm = while_calm(scene, _CALM_SECONDS, _PHOTO_EVERY_SECONDS)
    strangers = scene.crowd(len(made))
    with scene.stack.supervised() as restarts, photos(crowd, scene.photo, _PHOTO_EVERY_SECONDS):
        sent = [_throw(scene, strangers, number, *each, every_seconds) for number, each in enumerate(made)]
        strangers.wait(_LATE_SECONDS)
    crowd.wait(_LATE_SECONDS)
    came = [_came(strangers, file, each) for (file, _), each in zip(made, sent, strict=True)]
    return _report(scene, came, calm, p95(crowd.waits()), restarts, strangers.tally(scene.known).doubled)


def _made(scene: Scene, file: Hostile) -> bytes:
    """Return the file's bytes, from an earlier run where there was one: some take long to make."""
    recipe = Path(zoo_module.__file__).read_bytes() + scene.whole_photo
    kept = scene.stack.folder.with_name("hostile") / hashlib.sha256(recipe).hexdigest()[:8] / file.name
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(file.make())
    return kept.read_bytes()


def _throw(scene: Scene, strangers: Crowd, number: int, file: Hostile, data: bytes, every_seconds: float) -> Sent:
    """Send a file, and let some time pass."""
    scene.stack.step(f"hostile files: {file.name}")
    due = time.monotonic() + every_seconds
    sent = strangers.throw(strangers.users[number], data, file.filename, file.kind)
    time.sleep(max(0.0, due - time.monotonic()))
    return sent


def _came(strangers: Crowd, file: Hostile, sent: Sent) -> Came:
    answer = next((each for each in sent.user.messages() if sent.answered_by(each)), None)
    if answer is None:
        return Came(file, _NO_ANSWER, None)
    if answer.photo or answer.document:
        what = _PICTURE
    else:
        found_nothing = (answer.text or "").startswith(replies.NOTHING_FOUND)
        what = _NOTHING_FOUND if found_nothing else f'"{(answer.text or "")[:_SHOWN_CHARACTERS]}"'
    return Came(file, what, next(iter(strangers.waits([sent])), None))


def _report(
    scene: Scene, came: Sequence[Came], calm: float, meanwhile: float, restarts: Sequence[str], doubled: int
) -> str:
    late, wrong = [each.file.name for each in came if each.late], [each.file.name for each in came if each.wrong]
    peaks = ", ".join(f"{name} {peak:.0f} MB" for name, peak in sorted(scene.stack.memory.peaks.items()))
    return judge(
        f"p95 {calm:.2f} s without, {meanwhile:.2f} s during {len(came)} files; peaks: {peaks}; "
        f"{len(restarts)} ended; not boxed though readable: {', '.join(wrong) or 'none'}; "
        f"late or unanswered: {', '.join(late) or 'none'}; {'; '.join(map(str, came))}",
        processes_ended=bool(restarts),
        hostile_files_unanswered=bool(late),
        hostile_files_answered_twice=doubled > 0,
        readable_files_refused=bool(wrong),
        others_wait=meanwhile > max(2 * calm, calm + 1),
    )
