"""A GIF or a video is answered by the frames at its quarters, as one album."""

import re
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import psutil
import pytest
from PIL import Image

from botsite.bot.buttons import looks
from botsite.bot.words import found, replies
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import Message, TelegramControl, TelegramUser
from detection.model import decoding
from detection.model.clips import frames, most_at_once
from detection.picture import image_headers
from detection.record import images, items, predictions, queries
from detection.record.reasons import Reason
from detection.record.schemas import Detection, Options, Prediction
from detection.record.sentences import Code
from tests.support import clips, new_updates
from tests.support.processes import wait_until
from tests.support.telling_site import Site


@pytest.fixture
def street(photo: bytes) -> np.ndarray:
    """Return the sample photo at the size of a clip."""
    return np.asarray(Image.open(BytesIO(photo)).convert("RGB").resize((640, 640)))


@pytest.fixture
def decoder() -> Iterator[decoding.Decoder]:
    decoder = decoding.Decoder(decoding._CLIP_CHILD)
    yield decoder
    decoder.end()


def moving(street: np.ndarray) -> Iterator[np.ndarray]:
    """Yield two seconds of a camera that turns a little."""
    for number in range(20):
        yield np.roll(street, 4 * number, axis=1)


def newest(user: TelegramUser) -> Prediction:
    prediction = predictions.find(queries.latest_of_chat(user.chat_id)[0])
    assert prediction is not None
    return prediction


def from_bot(user: TelegramUser) -> list[Message]:
    return [message for message in user.messages() if message.from_bot]


@pytest.mark.parametrize("kind", ["animation", "video_note", "video"])
def test_clip_is_answered_by_album_of_its_frames(user: TelegramUser, street: np.ndarray, kind: str) -> None:
    message_id = user.send_clip(clips.clip(moving(street)), kind)
    answer = user.wait_for_reply(message_id)
    album = from_bot(user)
    prediction = newest(user)
    assert (prediction.clip, prediction.frames, len(album)) == (True, 4, 4)
    assert len({message.media_group_id for message in album}) == 1
    assert answer.caption == found.of_clip(prediction.detections)
    assert all(message.photo and not message.buttons for message in album)
    # Each shows another frame.
    pictures = [np.asarray(Image.open(BytesIO(user.download(message))).resize((64, 64)), float) for message in album]
    assert all(np.abs(one - other).mean() > 2 for one, other in pairwise(pictures))
    assert len(queries.latest_of_chat(user.chat_id)) == 1


def test_clip_whose_frames_take_long_has_fewer(street: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    data = clips.clip(moving(street))
    assert len(list(frames(data))) == 4
    monkeypatch.setattr("detection.model.clips._SECONDS", 0.0)
    assert len(list(frames(data))) == 1


def test_object_in_all_frames_is_counted_once() -> None:
    dogs = [Detection("dog", confidence, 0.5, 0.5, 0.2, 0.2) for confidence in (0.8, 0.9, 0.7, 0.6)]
    cat = Detection("cat", 0.5, 0.1, 0.5, 0.2, 0.2)
    most = most_at_once([[dogs[0]], [dogs[1], cat], [dogs[2], dogs[3]], []])
    assert most == [dogs[2], dogs[3], cat]
    assert most_at_once([[dogs[0]], [dogs[1]], [dogs[2]]]) == [dogs[1]]
    assert found.of_clip(most) == "Most at once: 2 dogs, 1 cat"


def test_clip_stores_no_more_than_a_photo() -> None:
    found_in = [[Detection(f"label {frame}", 0.9, 0.5, 0.5, 0.2, 0.2)] * 300 for frame in range(4)]
    assert len(most_at_once(found_in)) == 300


def test_still_clip_is_answered_by_one_photo(user: TelegramUser, street: np.ndarray) -> None:
    answer = user.wait_for_reply(user.send_clip(clips.clip([street])))
    assert answer.photo
    assert len(from_bot(user)) == 1
    assert answer.caption == found.caption(newest(user).detections)


def test_clip_takes_options_of_its_caption(user: TelegramUser, street: np.ndarray) -> None:
    answer = user.wait_for_reply(user.send_clip(clips.clip([street]), caption="only unicorn json"))
    assert answer.document


def test_empty_clip_is_told(user: TelegramUser) -> None:
    answer = user.wait_for_reply(user.send_clip(clips.clip(clips.shades(20))))
    assert str(answer.text).startswith(replies.NOTHING_IN_CLIP)
    assert answer.buttons == ()


@pytest.mark.parametrize("kind", ["animation", "video"])
@pytest.mark.parametrize(
    "make", [lambda: b"nothing", clips.sound, lambda: bytes(8), lambda: clips.clip(clips.shades(9))[:900]]
)
def test_unreadable_clip_is_refused_once(user: TelegramUser, make: Callable[[], bytes], kind: str) -> None:
    answer = user.wait_for_reply(user.send_clip(make(), kind))
    assert answer.text == Code.NO_CLIP.value
    assert len(from_bot(user)) == 1


def test_video_of_more_than_20_mb_is_refused(user: TelegramUser, telling: Site) -> None:
    video = new_updates.FILE | {"width": 1, "height": 1, "duration": 1, "file_size": 25 * 1024**2}
    assert telling.post(new_updates.with_message(user.chat_id, video=video)) == 200
    assert [message.text for message in from_bot(user)] == [str(Reason(Code.TOO_LARGE, {"megabytes": "25"}))]


def test_video_in_album_leaves_its_photos_together(user: TelegramUser, photo: bytes, street: np.ndarray) -> None:
    """Given an album of a photo, a video and a photo, whose caption stands with the first."""
    first = user.send_photo(photo, caption="conf 0.6", album="mixed")
    video = user.send_clip(clips.clip([street]), "video", album="mixed")
    last = user.send_photo(photo, album="mixed")
    photos = [user.wait_for_reply(message_id) for message_id in (first, last)]
    assert user.wait_for_reply(video).photo
    assert len({message.media_group_id for message in photos}) == 1
    assert [line[:8] for line in str(photos[0].caption).splitlines()[2:]] == ["Photo 1:", "Photo 3:"]
    there = queries.known(queries.latest_of_chat(user.chat_id), consistent=True).values()
    assert {each.options for each in there} == {Options(least=0.6)}


@pytest.mark.slow
def test_large_video_takes_bounded_memory(decoder: decoding.Decoder) -> None:
    """Given 4K video with as many reference frames as H.264 has, near the size that bots may download."""
    data = clips.clip(clips.noise(20, 3840, 2160), per_second=30)
    for quarter in range(4):
        assert decoder.decode(data, quarter).shape[2] == 3


@pytest.mark.slow
def test_lost_frames_leave_the_others(user: TelegramUser, street: np.ndarray, stack: LocalStack) -> None:
    control = TelegramControl(stack.telegram_url)
    rule = control.fault("sendMediaGroup", "server_error", chat_id=user.chat_id, times=1)
    message_id = user.send_clip(clips.clip(moving(street)))
    wait_until(lambda: control.faults_fired(rule) == 1)
    user.wait_for_reply(message_id)
    assert len({message.media_group_id for message in from_bot(user)}) == 1
    assert all(images.exists(key) for key in newest(user).frame_keys)


@pytest.mark.slow
def test_refused_album_of_frames_comes_as_text(user: TelegramUser, street: np.ndarray, stack: LocalStack) -> None:
    control = TelegramControl(stack.telegram_url)
    reason = "Bad Request: IMAGE_PROCESS_FAILED"
    control.fault("sendMediaGroup", "bad_request", chat_id=user.chat_id, description=reason)
    answer = user.wait_for_reply(user.send_clip(clips.clip(moving(street))))
    assert answer.text == found.of_clip(newest(user).detections)


@pytest.mark.parametrize(("codec", "form"), [("libx264", "mp4"), ("gif", "gif"), ("libvpx-vp9", "webm")])
def test_frames_are_those_at_the_quarters(decoder: decoding.Decoder, codec: str, form: str) -> None:
    data = clips.clip(clips.shades(41), codec=codec, form=form)
    brightness = [float(decoder.decode(data, quarter).mean()) for quarter in range(4)]
    assert brightness == pytest.approx([0, 64, 128, 191], abs=12)


def test_header_that_lies_about_length_does_no_harm(decoder: decoding.Decoder) -> None:
    data = clips.lying(clips.clip(clips.shades(41)), 10 * 3600)
    assert float(decoder.decode(data, 3).mean()) == pytest.approx(191, abs=12)


def test_clip_of_too_many_pixels_is_refused(decoder: decoding.Decoder) -> None:
    data = clips.clip(clips.shades(5), codec="gif", form="gif")
    with pytest.raises(image_headers.UnreadableImage):
        decoder.decode(data[:6] + (65_000).to_bytes(2, "little") * 2 + data[10:], 0)
    assert decoder.decode(data, 0).shape == (240, 320, 3)


def test_header_that_lies_about_size_does_no_harm(decoder: decoding.Decoder) -> None:
    data = clips.claiming_size(clips.clip(clips.shades(5)), 65_000, 65_000)
    assert decoder.decode(data, 0).shape == (240, 320, 3)


def test_damaged_clips_are_refused_or_read(decoder: decoding.Decoder) -> None:
    whole, random = clips.clip(clips.shades(30)), Random(5)
    for _ in range(20):
        damaged = bytearray(whole)
        for _ in range(30):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        try:
            assert decoder.decode(bytes(damaged), 2).ndim == 3
        except image_headers.UnreadableImage:
            continue
    assert decoder.decode(whole, 0).shape == (240, 320, 3)


@pytest.mark.slow
def test_long_clip_takes_bounded_time_and_memory(decoder: decoding.Decoder) -> None:
    data = clips.clip(clips.shades(1800, 640, 640), per_second=30)
    for quarter in range(4):
        assert decoder.decode(data, quarter).shape == (640, 640, 3)
    assert decoder.pid
    status = Path(f"/proc/{decoder.pid}/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert peak
    assert int(peak[1]) < 200 * 1024


def test_frames_share_their_time(decoder: decoding.Decoder) -> None:
    data = clips.clip(clips.shades(9))
    decoder.decode(data, 3)
    child = psutil.Process(decoder.pid)
    seconds = [child.rlimit(psutil.RLIMIT_CPU)[0]]
    decoder.decode(data, 0)
    seconds.append(child.rlimit(psutil.RLIMIT_CPU)[0])
    # A limit that began again would be higher by then.
    while sum(child.cpu_times()[:2]) < 1.1:
        decoder.decode(data, 1)
    seconds.append(child.rlimit(psutil.RLIMIT_CPU)[0])
    assert seconds == [3, 7, 7]


def test_child_for_clips_can_open_nothing(decoder: decoding.Decoder) -> None:
    decoder.decode(clips.clip(clips.shades(2)), 0)
    limits = Path(f"/proc/{decoder.pid}/limits").read_text()
    assert re.search(r"Max open files\s+0\s+0", limits)
    assert len(list(Path(f"/proc/{decoder.pid}/fd").iterdir())) <= 4


def test_item_says_whether_it_is_a_clip() -> None:
    photo, clip = Prediction("x", 1, 2, "photos/x"), Prediction("x", 1, 2, "photos/x", clip=True, frames=3)
    assert "clip" not in items.write(photo)
    assert items.write(clip)["clip"] is True
    assert photo.frame_keys == ["results/x.jpg"]
    assert clip.frame_keys == ["results/x.jpg", "results/x.frame2.jpg", "results/x.frame3.jpg"]
    assert looks.keyboard(clip, looks.first(clip)) == []
