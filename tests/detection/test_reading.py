"""What is written in a photo comes at the press of a button, and costs nobody else a wait or a worker."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from PIL import Image, ImageDraw, ImageFont

from botsite.bot.buttons import looks, presses, redraw
from botsite.bot.words import replies
from deploy.local.telegram.client import Message, TelegramUser
from detection.model import decoding, large_files, reading
from detection.model.boxed import PLAIN, Wanted
from detection.picture import redrawn
from detection.picture.image_headers import UnreadableImage
from detection.record import images, predictions, queries
from detection.record.schemas import Detection, Form, Options, Prediction, Status
from detection.record.sentences import Code
from detection.work import jobs, tasks, worker
from tests.support.hostile import zoo
from tests.support.processes import wait_until

ROOT = Path(__file__).parents[2]
DOG = Detection("dog", 0.9, 0.5, 0.5, 0.5, 0.5)
EMPTY = Prediction("0" * 32, 1, 2, "photos/x", status=Status.SUCCEEDED)
# Replies what it is told to, as the process does that reads.
_SAYS = """
import struct, sys, time
replies, head = sys.stdout.buffer, struct.Struct("!BII")
replies.write(head.pack(0, 0, 0))
replies.flush()
length = struct.unpack("!QIB", sys.stdin.buffer.read(13))[0]
sys.stdin.buffer.read(length)
replies.write(head.pack(0, 0, 0))
replies.flush()
{does}
text = {text!r}.encode()
replies.write(head.pack(0, len(text), 1) + text)
replies.flush()
time.sleep(60)
"""


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what has another process read, which says a text."""

    def reads(text: str, does: str = "") -> None:
        script = tmp_path / "reads.py"
        script.write_text(_SAYS.format(text=text, does=does))
        monkeypatch.setattr(reading, "_CHILD", script)
        monkeypatch.setattr(reading, "_places", lambda: ("", ""))

    return reads


def jpeg(text: str = "", size: tuple[int, int] = (1280, 960), height: int = 60) -> bytes:
    """Return a photo of a page."""
    image = Image.new("RGB", size, (225, 222, 215))
    ImageDraw.Draw(image).multiline_text((height, height), text, (30, 30, 35), ImageFont.load_default(height))
    data = BytesIO()
    image.save(data, "JPEG", quality=90)
    return data.getvalue()


def texts(keyboard: list[list[Any]]) -> list[list[str]]:
    return [[button.text for button in row] for row in keyboard]


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "READ_TEXT", True)


def test_button_comes_first_where_nothing_was_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    found = replace(EMPTY, detections=(DOG,), candidates=(DOG,))
    look = looks.first(EMPTY)
    assert "Read text" not in str(texts(looks.keyboard(EMPTY, look)) + texts(looks.more_buttons(found, look)))
    monkeypatch.setattr(settings, "READ_TEXT", True)
    assert texts(looks.keyboard(EMPTY, look))[0] == ["Read text"]
    assert "Read text" not in str(texts(looks.keyboard(found, look)))
    assert texts(looks.more_buttons(found, look))[-1] == ["Read text"]
    assert "Read text" not in str(texts(looks.more_buttons(EMPTY, look)))


def test_old_button_does_nothing_where_it_is_off() -> None:
    assert asyncio.run(redraw.read(EMPTY, 1, looks.first(EMPTY))) == presses.UNKNOWN


def answered(user: TelegramUser, photo: bytes) -> tuple[Message, Prediction]:
    answer = user.wait_for_reply(user.send_photo(photo))
    (identity,) = queries.latest_of_chat(user.chat_id)
    wait_until(lambda: predictions.find(identity).delivered)  # type: ignore[union-attr]
    return answer, predictions.find(identity)  # type: ignore[return-value]


def text_of(user: TelegramUser, photo: bytes) -> Message:
    """Send a photo, and have this process read it, as a worker does; return what the site sends then."""
    answer, seen = answered(user, photo)
    asked = jobs.to_read(seen, answer.message_id)
    images.put(asked.image_key, redrawn.photo(seen), "image/jpeg")
    predictions.create(asked)
    tasks._answer(asked.prediction_id, "a job")
    text = user.wait_for_reply(answer.message_id)
    assert predictions.find(seen.prediction_id) == seen
    return text


def test_text_answers_the_message_with_the_button(user: TelegramUser, photo: bytes, says: Any) -> None:
    says("EXIT\n\u202e12.50\x00 EUR")
    text = text_of(user, photo)
    assert text.text == "EXIT\n12.50 EUR"
    listed = user.wait_for_reply(user.send_text("/history")).text or ""
    assert listed.count("\n") == 0
    assert "EXIT" not in listed
    question = user.send_text("how many people?", reply_to=text.message_id)
    assert user.wait_for_reply(question).text == replies.NO_PHOTO["text"]


@pytest.mark.usefixtures("on")
def test_press_is_answered_though_no_worker_can_read(user: TelegramUser) -> None:
    """Given a worker without what reads, or a page without a word."""
    answer, seen = answered(user, jpeg())
    assert asyncio.run(redraw.read(seen, answer.message_id, looks.first(seen))) == redraw.READING
    assert user.wait_for_reply(answer.message_id).text in (Code.UNREAD.value, replies.NO_TEXT)


@pytest.mark.usefixtures("on")
def test_photo_is_read_once_whatever_an_altered_app_sends(user: TelegramUser) -> None:
    answer, seen = answered(user, jpeg())
    shown = looks.first(seen)
    said = [asyncio.run(redraw.read(seen, answer.message_id, look)) for look in (shown, replace(shown, labels=False))]
    assert said == [redraw.READING, redraw.READ_ALREADY]
    read = predictions.find(jobs.to_read(seen, answer.message_id).prediction_id)
    assert read
    assert asyncio.run(redraw.read(read, answer.message_id, shown)) == presses.UNKNOWN


def test_photo_without_text_is_answered(says: Any) -> None:
    says("\n")
    assert reading.box(jpeg(), 1, PLAIN).written == ""
    assert replies.written("") == replies.written(None) == replies.NO_TEXT


@pytest.mark.parametrize(
    ("read", "sent"),
    [
        ("  a \r\n\n\nb\t c\u2028d ", "a\nb c\nd"),
        ("\u200f\u202eevil\u2066\u2069 \ufeff\u200b\x1b[31m", "evil [31m"),
        ("\ud7ff\ue000\U000e0041x", "x"),
        ("שלום 12", "שלום 12"),
    ],
)
def test_text_is_cleaned(read: str, sent: str) -> None:
    assert reading.cleaned(read) == sent


@pytest.mark.parametrize("line", ["a line of a book", "🛅" * 40, "x" * 9000])
def test_long_text_is_cut_and_says_so(line: str) -> None:
    text = reading.cleaned("\n".join([line] * 400))
    sent = replies.written(text)
    assert sent.endswith(f"…\n\n{replies.MORE_TEXT}")
    assert 1000 < len(sent.encode("utf-16-le")) / 2 <= 4096
    assert set(text.removesuffix(reading.CUT).split("\n")) <= {line, line[: reading.LENGTH]}


def failure_of(photo: bytes) -> str:
    """Return what the sender is told, and the end of the story."""
    with pytest.raises(UnreadableImage) as caught:
        reading.box(photo, 1, PLAIN)
    last: BaseException = caught.value
    while last.__cause__:
        last = last.__cause__
    return f"{caught.value}: {last}"


def test_what_grows_too_large_is_ended(says: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_LARGEST_BYTES", 150 << 20)
    says("", does="kept = [bytearray(b'x' * (1 << 20)) for _ in range(400)]\ntime.sleep(60)")
    assert failure_of(jpeg()) == f"{Code.UNREAD.value}: it took too much memory"
    assert not [child for child in psutil.Process().children() if "reads.py" in str(child.cmdline())]


def test_it_gives_way_to_decoders(says: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given 250 MB for all, of which decoding takes 200 in a moment."""
    monkeypatch.setattr(decoding, "_IDLE_BYTES", 0)
    monkeypatch.setattr(decoding, "_allowed_bytes", lambda: decoding._resident("self") + (250 << 20))
    says("", does="time.sleep(60)")
    monkeypatch.setattr(
        decoding.Decoder, "resident", property(lambda decoder: (200 << 20) * (decoder is decoding.CLIPS))
    )
    monkeypatch.setattr(decoding, "_SPARE_BYTES", 50 << 20)
    assert failure_of(jpeg()) == f"{Code.UNREAD.value}: it took too much memory"


def test_what_takes_too_long_is_ended(says: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_IMAGE_SECONDS", 0.5)
    says("", does="time.sleep(60)")
    assert failure_of(jpeg()) == f"{Code.UNREAD.value}: it took too long"


def test_one_photo_is_read_at_a_time(says: Any, tmp_path: Path) -> None:
    log, go = tmp_path / "log", tmp_path / "go"
    note = "open({!r}, 'a').write('{} ')"
    begins, ends = (note.format(str(log), word) for word in ("begins", "ends"))
    says("a", does=f"import os\n{begins}\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n{ends}")
    threads = [threading.Thread(target=reading.box, args=(jpeg(), chat_id, PLAIN)) for chat_id in (1, 2)]
    for thread in threads:
        thread.start()
    wait_until(lambda: large_files.READER.waiting == 1 and log.exists() and log.read_text())
    go.touch()
    for thread in threads:
        thread.join()
    assert log.read_text() == "begins ends begins ends "


@pytest.mark.usefixtures("on")
def test_worker_that_cannot_read_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "find_spec", lambda name: None)
    with pytest.raises(ImproperlyConfigured, match=r"READ_TEXT is on, but .* not installed here: `make text`"):
        reading.check()
    with pytest.raises(SystemExit):
        worker.LoadModel(None).start(None)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install what reads in a folder, and find it there."""
    folder = tmp_path_factory.mktemp("text")
    lock = ROOT / "requirements-text.lock"
    options = ("--no-deps", "--require-hashes", "--target", str(folder), "--requirement", str(lock))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options]
    subprocess.run(command, check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder


@pytest.mark.slow
@pytest.mark.usefixtures("package")
class TestWithPackage:
    """What the real process reads."""

    def test_print_is_read(self) -> None:
        reading.check()
        lines = ["SUPERMARKET ALPHA", "Main Street 12, Springfield", "TOTAL EUR 14.35"]
        boxed = reading.box(jpeg("\n".join(lines)), 1, Wanted(Options(form=Form.TEXT)))
        assert boxed.written == "\n".join(lines)

    def test_page_is_read_for_its_sender(self, user: TelegramUser) -> None:
        assert text_of(user, jpeg("Gate 12\nBoarding 14:35")).text == "Gate 12\nBoarding 14:35"

    def test_codes_are_read(self) -> None:
        from importlib import import_module

        codes: Any = import_module("zxingcpp")
        code = codes.create_barcode("https://example.org/hello", codes.QRCode)
        drawn = np.asarray(codes.write_barcode_to_image(code, scale=6))
        page = Image.open(BytesIO(jpeg()))
        page.paste(Image.fromarray(drawn), (200, 300))
        data = BytesIO()
        page.save(data, "JPEG", quality=90)
        assert reading.box(data.getvalue(), 1, PLAIN).written == "QR Code: https://example.org/hello"

    def test_page_fits_beside_the_worker(self) -> None:
        """Given a page of 70 lines, in 12 megapixels; see `_LARGEST_BYTES` for what it may take."""
        page = jpeg(
            "\n".join("the quick brown fox jumps over the lazy dog, twice, and " * 3 for _ in range(70)),
            (4000, 3000),
            34,
        )
        boxed = reading.box(page, 1, PLAIN)
        assert (boxed.written or "").count("the quick brown fox jumps over") > 50

    def test_hostile_files_are_read_or_refused(self, photo: bytes) -> None:
        names = []
        for hostile in zoo(photo):
            try:
                written = reading.box(hostile.make(), 1, PLAIN).written
                assert written == reading.cleaned(written or "")
            except UnreadableImage:
                pass
            names.append(hostile.name)
        assert len(names) > 70
