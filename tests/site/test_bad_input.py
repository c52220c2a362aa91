"""Bad input is normal input: a result or a polite, specific answer for each, and never silence."""

import json
import time
from io import BytesIO
from random import Random

import httpx
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from botsite import rate_limit
from botsite.bot.words import replies
from deploy.local.processes import PATIENCE_SECONDS
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import Message, TelegramUser
from detection.record import predictions, queries
from detection.record.schemas import Status
from detection.record.sentences import Code
from tests.support import new_updates
from tests.support.cases import slow_after

pillow_heif.register_heif_opener()


def _saved(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def picture(photo: bytes) -> Image.Image:
    return Image.open(BytesIO(photo)).convert("RGB")


def _document(user: TelegramUser, data: bytes, name: str = "image.jpg", kind: str = "image/jpeg") -> Message:
    return user.wait_for_reply(user.send_document(data, name, kind))


def test_heic_is_answered(user: TelegramUser, picture: Image.Image) -> None:
    assert _document(user, _saved(picture, "HEIF"), "IMG_0001.HEIC", "image/heic").document


@pytest.mark.parametrize("form", slow_after(3, ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF"]))
def test_every_common_format_is_answered(user: TelegramUser, picture: Image.Image, form: str) -> None:
    assert _document(user, _saved(picture, form), f"image.{form.lower()}").document


@pytest.mark.parametrize("mode", slow_after(3, ["CMYK", "L", "P", "1", "RGBA", "LA", "I;16", "YCbCr"]))
def test_every_colour_model_is_answered(user: TelegramUser, picture: Image.Image, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    else:
        image = picture.convert(mode)
    form = "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"
    assert _document(user, _saved(image, form)).document


@pytest.mark.parametrize("orientation", slow_after(2, range(1, 9)))
def test_rotated_photo_comes_back_upright(user: TelegramUser, picture: Image.Image, orientation: int) -> None:
    turns = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    turn = turns[orientation]
    stored = picture if turn is None else picture.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    answer = _document(user, _saved(stored, "JPEG", exif=exif, quality=95))
    boxed = Image.open(BytesIO(user.download(answer)))
    assert boxed.size == picture.size
    assert np.abs(_small(boxed) - _small(picture)).mean() < 25


def _small(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB").resize((32, 32)), float)


def test_animation_is_answered_by_its_first_frame(user: TelegramUser, picture: Image.Image) -> None:
    blank = Image.new("RGB", picture.size)
    data = _saved(picture, "PNG", save_all=True, append_images=[blank, blank])
    assert _document(user, data, "animated.png", "image/png").document


def test_truncated_jpeg_is_refused_with_reason(user: TelegramUser, photo: bytes) -> None:
    answer = _document(user, photo[: len(photo) // 2])
    assert "damaged" in str(answer.text)


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (b"just text", "notes.txt", "text/plain"),
        (b"just text that claims more", "photo.png", "image/png"),
        (b"", "empty.jpg", "image/jpeg"),
        (b"%PDF-1.7 ...", "paper.pdf", "application/pdf"),
        (b"\xff\xd8\xff\xe0", "header.jpg", "image/jpeg"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "drawing.svg", "image/svg+xml"),
    ],
)
def test_other_files_are_refused(user: TelegramUser, data: bytes, name: str, kind: str) -> None:
    assert "not an image" in str(_document(user, data, name, kind).text)


def test_noise_behind_jpeg_header_is_refused(user: TelegramUser, photo: bytes) -> None:
    noise = Random(7).randbytes(20_000)
    assert _document(user, photo[:400] + noise).text


def test_decompression_bomb_is_refused_by_its_header(user: TelegramUser) -> None:
    data = _saved(Image.new("1", (30_000, 30_000)), "PNG")
    answer = _document(user, data, "bomb.png", "image/png")
    assert "30000 x 30000" in str(answer.text)


def test_too_large_file_is_refused_with_both_sizes(user: TelegramUser) -> None:
    answer = _document(user, bytes(25 * 1024 * 1024))
    assert answer.text == Code.TOO_LARGE.value.format(megabytes=25)


@pytest.mark.parametrize(("width", "height"), slow_after(2, [(3000, 100), (100, 3000), (8000, 6000), (1, 1), (2, 900)]))
def test_image_of_any_shape_is_answered(user: TelegramUser, width: int, height: int) -> None:
    answer = _document(user, _saved(Image.new("RGB", (width, height), "grey"), "PNG"))
    assert answer.photo or answer.document or answer.text


def test_very_long_image_comes_back_as_file(user: TelegramUser, picture: Image.Image) -> None:
    strip = Image.new("RGB", (picture.height * 22, picture.height), "white")
    for left in range(0, strip.width, picture.width):
        strip.paste(picture, (left, 0))
    answer = _document(user, _saved(strip, "JPEG"))
    assert answer.document or (answer.text or "").startswith(replies.NOTHING_FOUND)


@pytest.mark.parametrize("kind", ["sticker", "voice"])
def test_other_messages_get_polite_answer(user: TelegramUser, kind: str) -> None:
    assert user.wait_for_reply(user.send_media(kind)).text == replies.no_photo(kind)


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("hello", replies.NO_PHOTO["text"]),
        ("/start", replies.START),
        ("/start now", replies.START),
        ("/help@some_bot", replies.HELP),
        ("/nonsense", replies.UNKNOWN_COMMAND),
        ("/", replies.UNKNOWN_COMMAND),
        ("   ", replies.NO_PHOTO["text"]),
    ],
)
def test_text_and_commands_are_answered(user: TelegramUser, text: str, reply: str) -> None:
    if text.strip():
        assert user.wait_for_reply(user.send_text(text)).text == reply


def test_half_a_surrogate_pair_is_no_failure(stack: LocalStack, user: TelegramUser) -> None:
    text = "/what \ud800 \U0001f600"
    # As JSON can hold it, which UTF-8 can't.
    body = json.dumps(new_updates.with_message(user.chat_id, text=text))
    assert _post(stack, body) == 200
    assert user.wait_for(lambda message: "\ufffd \U0001f600" in (message.text or ""))


def test_words_to_a_chat_at_its_limit_wait_here(stack: LocalStack, user: TelegramUser) -> None:
    """Telegram would hold back other updates while one is refused."""
    limit = rate_limit.chat(user.chat_id)
    rate_limit.pause(limit, 600)
    date = int(time.time())
    for _ in range(12):
        assert _post(stack, new_updates.with_message(user.chat_id, text="hello", date=date)) == 200
    assert user.messages() == []
    rate_limit.forget(limit)
    assert user.wait_for(lambda message: message.text == replies.NO_PHOTO["text"])


@pytest.mark.parametrize("caption", slow_after(2, ["<b>bold", "*_[x](y)`", "&amp; <", "😀" * 400, "x" * 1024]))
def test_caption_does_not_matter(user: TelegramUser, photo: bytes, caption: str) -> None:
    assert user.wait_for_reply(user.send_photo(photo, caption=caption)).photo


@pytest.mark.parametrize("chat_id", slow_after(2, [-1001234567890, -42, 2**40 + 5, 9_007_199_254_740_991]))
def test_chat_ids_of_any_size_and_sign_work(stack: LocalStack, photo: bytes, chat_id: int) -> None:
    user = TelegramUser(stack.telegram_url, chat_id)
    assert user.wait_for_reply(user.send_photo(photo, caption="@object_detection_bot")).photo
    assert len(queries.latest_of_chat(chat_id)) == 1


def test_album_entry_without_photo_gets_polite_answer(stack: LocalStack, user: TelegramUser) -> None:
    assert _post(stack, new_updates.with_message(user.chat_id, media_group_id="7", photo=[])) == 200
    assert user.wait_for(lambda message: message.text == replies.OTHER)


def _post(stack: LocalStack, update: dict[str, object] | str) -> int:
    headers = {"X-Telegram-Bot-Api-Secret-Token": stack.env["TELEGRAM_WEBHOOK_SECRET"]}
    url = f"{next(iter(stack.sites.values()))}/telegram/webhook"
    body = update if isinstance(update, str) else json.dumps(update)
    return httpx.post(url, content=body, headers=headers, timeout=PATIENCE_SECONDS).status_code


def test_file_gone_from_telegram_is_reported(stack: LocalStack, user: TelegramUser) -> None:
    gone = {"file_id": "gone", "file_unique_id": "gone", "width": 1, "height": 1}
    assert _post(stack, new_updates.with_message(user.chat_id, photo=[gone])) == 200
    assert user.wait_for(lambda message: message.text == Code.UNAVAILABLE.value)
    failed = predictions.find(queries.latest_of_chat(user.chat_id)[0])
    assert failed is not None
    assert failed.status is Status.FAILED
