"""Files and bodies that are large where nobody looks: in their headers, and in requests nobody asked for.

Nothing is shortened here: a site answers under its own patiences, and Telegram repeats as it does.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from deploy.local.processes import listening
from detection.work import callback
from tests.chaos.cells import Cell, Scene, judge, wait_for
from tests.chaos.crowd import Crowd
from tests.chaos.steady import p95, photos
from tests.support import hostile

_PHOTO_EVERY_SECONDS = 0.5
_FILES = 20
_WARMING = 24
_BODY_MB = 600
_GROWTH_MB = 100.0
_P95_SECONDS = 2.0
# One after the other they take a minute: whatever is strange is decoded by one process.
_ANSWER_SECONDS = 120.0
# What a site gets of its time to answer a body, or to end it.
_BODY_SECONDS = 120.0
_PIECE = bytes(1 << 20)


def bodies() -> Iterator[Cell]:
    """Yield what comes by the webhook, and what comes from anywhere."""
    yield Cell("bodies", f"{_FILES} files with headers of 19 MB at once", _files, people=40)
    yield Cell("bodies", f"requests with bodies of {_BODY_MB} MB", _requests, people=40)


def _files(scene: Scene, crowd: Crowd) -> str:
    """Have many people send files whose headers are all there is to them."""
    makers = [each for each in hostile.zoo(scene.whole_photo) if "20_megabytes" in each.name]
    files = [(each, each.make()) for each in makers]
    strangers = scene.crowd(_FILES)

    def throw(number: int) -> None:
        file, data = files[number % len(files)]
        strangers.throw(strangers.users[number], data, file.filename, file.kind)

    with scene.stack.unhurried():
        _warm_up(scene)
        before = _now(scene)
        with scene.stack.supervised() as restarts, photos(crowd, scene.photo, _PHOTO_EVERY_SECONDS):
            with ThreadPoolExecutor(_FILES) as pool:
                list(pool.map(throw, range(_FILES)))
            strangers.wait(_ANSWER_SECONDS)
        crowd.wait(_ANSWER_SECONDS)
        note = f"{strangers.waiting()} of {_FILES} files unanswered after {_ANSWER_SECONDS:g} s"
        return _report(crowd, _growth(scene, before), restarts, note, unanswered=strangers.waiting() > 0)


def _requests(scene: Scene, crowd: Crowd) -> str:
    """Send one large body after another to a site, from anywhere in the world and as Telegram."""
    with scene.stack.unhurried():
        _warm_up(scene)
        return _one_after_another(scene, crowd)


def _one_after_another(scene: Scene, crowd: Crowd) -> str:
    name, address = "polybot-1", urlsplit(next(iter(scene.stack.sites.values())))
    came, most = [], 0.0
    with scene.stack.supervised() as restarts, photos(crowd, scene.photo, _PHOTO_EVERY_SECONDS):
        for what, lines in _heads(scene):
            scene.stack.step(f"bodies: {what}")
            before = _now(scene)
            answer = _send(address.hostname or "", address.port or 0, lines)
            growth = _growth(scene, before)[name]
            came.append(f"{what}: {answer}, +{growth:.0f} MB")
            most = max(most, growth)
            wait_for(lambda: listening(address.hostname or "", address.port or 0), _BODY_SECONDS)
    crowd.wait(_ANSWER_SECONDS)
    return _report(crowd, {name: most}, restarts, "; ".join(came))


def _warm_up(scene: Scene) -> None:
    """Have each process of the sites take photos and answer them: what that needs is loaded with the first."""
    people = scene.crowd(_WARMING)
    people.send(scene.photo)
    people.wait(_ANSWER_SECONDS)


def _heads(scene: Scene) -> Iterator[tuple[str, list[str]]]:
    """Yield each kind of request, and the lines of its head."""
    signed = {
        "GET /results?predictionId=none": f"{callback.SIGNATURE_HEADER}: {_signature(scene)}",
        "POST /telegram/webhook": f"X-Telegram-Bot-Api-Secret-Token: {scene.stack.env['TELEGRAM_WEBHOOK_SECRET']}",
    }
    for line, header in signed.items():
        for by, headers in (("unsigned", []), ("signed", [header])):
            for how in (f"Content-Length: {_BODY_MB << 20}", "Transfer-Encoding: chunked"):
                name = f"{line.partition('?')[0]}, {by}, {how.partition(':')[0]}"
                yield name, [f"{line} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", *headers, how]


def _signature(scene: Scene) -> str:
    return callback.sign("none", scene.stack.env["RESULTS_KEY"])


def _send(host: str, port: int, head: list[str]) -> str:
    """Send a head, and a body for as long as the site takes it; return what came: a status, or none."""
    began = time.monotonic()
    piece = b"%x\r\n%b\r\n" % (len(_PIECE), _PIECE) if head[-1].endswith("chunked") else _PIECE
    sent = 0
    with socket.create_connection((host, port), timeout=_BODY_SECONDS) as connection:
        try:
            connection.sendall("\r\n".join([*head, "", ""]).encode())
            while sent < _BODY_MB and not select.select([connection], [], [], 0)[0]:
                connection.sendall(piece)
                sent += 1
            status = connection.recv(64).partition(b"\r")[0].decode() or "closed"
        except OSError as error:
            status = type(error).__name__
    return f"{status} after {sent} MB and {time.monotonic() - began:.1f} s"


def _now(scene: Scene) -> dict[str, float]:
    return {name: scene.stack.memory.now(name) for name in scene.stack.names("polybot")}


def _growth(scene: Scene, before: dict[str, float]) -> dict[str, float]:
    return {name: scene.stack.memory.peaks[name] - used for name, used in before.items()}


def _report(crowd: Crowd, growth: dict[str, float], restarts: Sequence[str], note: str, **broken: bool) -> str:
    meanwhile = p95(crowd.waits())
    grew = ", ".join(f"{name} +{more:.0f} MB" for name, more in growth.items())
    return judge(
        f"{grew}; p95 of others {meanwhile:.2f} s; {len(restarts)} ended; {note}",
        **broken,
        processes_ended=bool(restarts),
        a_site_grows=max(growth.values()) > _GROWTH_MB,
        others_wait=meanwhile > _P95_SECONDS,
    )
