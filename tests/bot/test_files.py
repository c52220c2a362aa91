"""An image that is sent as a file is answered as one, at its full resolution, however large and of whatever format."""

from dataclasses import replace
from io import BytesIO
from itertools import count

import numpy as np
import pytest
from PIL import Image

from botsite.bot.buttons import presses, redraw
from botsite.bot.words import found
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import Message, TelegramControl, TelegramUser
from detection.picture import strips, thumbnails
from detection.record import images, predictions, queries
from detection.record.schemas import Prediction
from tests.support.buttons import data_of, press
from tests.support.cases import slow_after

_groups = count(-31_000, -1)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def large(photo: bytes) -> Image.Image:
    """Return the sample photo at a size that no photo has in Telegram."""
    image = Image.open(BytesIO(photo)).convert("RGB")
    return image.resize((2400, round(2400 * image.height / image.width)))


def sent(user: TelegramUser, data: bytes, name: str = "street.jpg", kind: str = "image/jpeg") -> Message:
    """Send a file, in a group to the bot; return its answer."""
    caption = "@object_detection_bot" if user.chat_id < 0 else None
    return user.wait_for_reply(user.send_document(data, name, kind, caption=caption))


def newest(user: TelegramUser) -> Prediction:
    prediction = predictions.find(queries.latest_of_chat(user.chat_id)[0])
    assert prediction is not None
    return prediction


def opened(user: TelegramUser, message: Message) -> Image.Image:
    assert message.document
    return Image.open(BytesIO(user.download(message)))


def from_bot(user: TelegramUser) -> list[Message]:
    return [message for message in user.messages() if message.from_bot]


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return how far apart the colours are."""
    pixels = [np.asarray(image.convert("RGB").resize((64, 64)), float) for image in (one, other)]
    return float(np.abs(pixels[0] - pixels[1]).mean())


@pytest.mark.parametrize("kind", slow_after(1, ["JPEG", "PNG", "WEBP", "TIFF"]))
def test_file_comes_back_as_file_at_full_resolution(user: TelegramUser, large: Image.Image, kind: str) -> None:
    options = {"compression": "jpeg"} if kind == "TIFF" else {}
    answer = sent(user, saved(large, kind, **options), f"street.{kind.lower()}", f"image/{kind.lower()}")
    prediction = newest(user)
    assert answer.caption == found.caption(prediction.detections)
    assert answer.photo is None
    boxed = opened(user, answer)
    assert (boxed.format, boxed.width) == ("JPEG", large.width)
    assert boxed.height >= large.height
    assert difference(boxed.crop((0, 0, *large.size)), large) < 25
    assert data_of(answer, "Hide labels")


def test_turned_file_comes_back_upright(user: TelegramUser, large: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    answer = sent(user, saved(large.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif))
    boxed = opened(user, answer)
    assert boxed.width == large.width
    assert not boxed.getexif()
    assert difference(boxed.crop((0, 0, *large.size)), large) < 25


def test_file_has_small_picture(user: TelegramUser, large: Image.Image) -> None:
    answer = sent(user, saved(large, "JPEG"))
    small = thumbnails.read(user.download(answer)[: thumbnails.HEAD_BYTES])
    assert small
    assert max(Image.open(BytesIO(small)).size) == thumbnails.SIDE


def test_photo_comes_back_as_photo(user: TelegramUser, photo: bytes) -> None:
    answer = user.wait_for_reply(user.send_photo(photo))
    assert answer.photo
    assert not newest(user).as_file


@pytest.mark.slow
def test_button_edits_file_at_full_resolution(user: TelegramUser, large: Image.Image) -> None:
    answer = sent(user, saved(large, "PNG"), "street.png", "image/png")
    assert press(user, answer, "Hide labels") == ""
    edited = user.message(answer.message_id)
    assert edited
    without = opened(user, edited)
    assert without.size == large.size
    assert difference(without, large) < 25
    assert data_of(edited, "Show labels")
    assert len(from_bot(user)) == 1


@pytest.mark.slow
def test_blurred_file_shows_no_small_picture_of_people(user: TelegramUser, large: Image.Image) -> None:
    answer = user.wait_for_reply(user.send_document(saved(large, "PNG"), "a.png", "image/png", caption="blur"))
    people = [box for box in newest(user).candidates if box.label == "person"]
    data = user.download(answer)
    small = Image.open(BytesIO(thumbnails.read(data[: thumbnails.HEAD_BYTES]) or b""))
    boxed = Image.open(BytesIO(data))
    assert boxed.width == large.width
    for box in people:
        corners = [box.cx - box.width / 2, box.cy - box.height / 2, box.cx + box.width / 2, box.cy + box.height / 2]
        left, top, right, bottom = (round(share * side) for share, side in zip(corners, small.size * 2, strict=True))
        head = left, top, right, min(bottom, top + max(right - left, (bottom - top) // 4))
        shown, there = (np.asarray(one.crop(head), int) for one in (small, large.resize(small.size)))
        assert np.abs(shown - there).mean() > 15


def test_file_in_other_formats_is_bounded(user: TelegramUser, large: Image.Image) -> None:
    answer = sent(user, saved(large.convert("CMYK"), "JPEG"))
    assert max(opened(user, answer).size) <= 1600 * 1.4


def test_refused_file_comes_smaller(user: TelegramUser, large: Image.Image, stack: LocalStack) -> None:
    control = TelegramControl(stack.telegram_url)
    rule = control.fault("sendDocument", "too_large", chat_id=user.chat_id)
    answer = sent(user, saved(large, "JPEG"))
    assert control.faults_fired(rule) == 1
    assert max(opened(user, answer).size) <= 1280 * 1.4
    assert answer.caption == found.caption(newest(user).detections)
    assert len(from_bot(user)) == 1


def test_file_refused_twice_comes_as_text(user: TelegramUser, large: Image.Image, stack: LocalStack) -> None:
    TelegramControl(stack.telegram_url).fault("sendDocument", "too_large", chat_id=user.chat_id, times=2)
    answer = sent(user, saved(large, "JPEG"))
    assert answer.text == found.caption(newest(user).detections)


@pytest.mark.slow
def test_missing_full_picture_is_replaced_by_smaller(user: TelegramUser, large: Image.Image) -> None:
    sent(user, saved(large, "JPEG"))
    prediction = newest(user)
    images.delete(prediction.full_key, prediction.copy_key)
    # Redrawn from the photo itself, at the size that photos have.
    assert press(user, from_bot(user)[0], "Hide labels") == redraw.SMALLER
    edited = from_bot(user)[0]
    assert max(opened(user, edited).size) <= 1280 * 1.4


def test_missing_file_is_told(user: TelegramUser, large: Image.Image) -> None:
    answer = sent(user, saved(large, "JPEG"))
    prediction = newest(user)
    images.delete(prediction.image_key, prediction.copy_key)
    assert press(user, answer, "Hide labels") == presses.GONE
    assert user.message(answer.message_id) == answer


@pytest.mark.slow
def test_rejected_edit_is_told(user: TelegramUser, large: Image.Image, stack: LocalStack) -> None:
    answer = sent(user, saved(large, "JPEG"))
    TelegramControl(stack.telegram_url).fault("editMessageMedia", "too_large", chat_id=user.chat_id)
    assert press(user, answer, "Hide labels") == presses.FAILED
    assert user.message(answer.message_id) == answer


def test_only_its_sender_changes_file_in_group(stack: LocalStack, large: Image.Image) -> None:
    group = next(_groups)
    sender, other = (TelegramUser(stack.telegram_url, group, user_id=number) for number in (931, 932))
    answer = sent(sender, saved(large, "JPEG"))
    assert press(other, answer, "Hide labels") == presses.NOT_YOURS
    assert sender.message(answer.message_id) == answer


@pytest.mark.slow
def test_copy_that_takes_too_much_is_drawn_smaller(user: TelegramUser, large: Image.Image) -> None:
    """A site has no memory for a picture that takes more than it may send; so it scales down, and says so."""
    sent(user, saved(large, "JPEG"))
    prediction = newest(user)
    noise = np.random.default_rng(1).integers(0, 256, (4096, 6000, 3), dtype=np.uint8)
    writer = strips.Writer(6000, 1 << 30)
    for _ in range(2):
        writer.add(noise)
    images.put(prediction.copy_key, writer.finish(), "image/jpeg")
    assert press(user, from_bot(user)[0], "Hide labels") == redraw.SMALLER
    assert opened(user, from_bot(user)[0]).size == (3000, 4096)


@pytest.mark.parametrize("flag", [True, False])
def test_item_says_whether_it_was_a_file(flag: bool) -> None:
    from detection.record import items

    prediction = replace(Prediction("x", 1, 2, "photos/x"), as_file=flag, created_at=None)
    written = items.write(prediction)
    assert written.get("as_file", False) is flag
    assert ("as_file" in written) is flag
