"""The list's small pictures: in the head of the boxed photo, cut out without an image library."""

from io import BytesIO

import httpx
import numpy as np
import pytest
from PIL import Image

from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection.picture import pixels, thumbnails
from detection.record import images, queries
from tests.support import operators
from tests.support.cases import slow_after
from tests.support.operators import JOBS, Operator


@pytest.fixture(scope="module")
def admin(stack: LocalStack) -> Operator:
    return operators.admin(stack)


def _size(jpeg: bytes) -> tuple[int, int]:
    with Image.open(BytesIO(jpeg)) as image:
        image.load()
        return image.size


@pytest.mark.parametrize(
    ("width", "height", "small"),
    slow_after(1, [(1280, 960, (112, 84)), (600, 1600, (42, 112)), (80, 60, (80, 60)), (1280, 2, (112, 1))]),
)
def test_boxed_photo_carries_a_small_one(width: int, height: int, small: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    plain = pixels.encode_jpeg(image)
    both = pixels.with_thumbnail(plain, image)
    assert np.array_equal(np.asarray(Image.open(BytesIO(both))), np.asarray(Image.open(BytesIO(plain))))
    found = thumbnails.read(both[: thumbnails.HEAD_BYTES])
    assert found is not None
    assert _size(found) == small


def test_too_large_small_picture_is_left_out() -> None:
    jpeg = pixels.encode_jpeg(np.zeros((8, 8, 3), np.uint8))
    assert thumbnails.within(jpeg, bytes(thumbnails.HEAD_BYTES)) == jpeg
    assert thumbnails.within(b"no JPEG", b"small") == b"no JPEG"


def test_other_heads_hold_no_small_picture() -> None:
    jpeg = pixels.encode_jpeg(np.zeros((8, 8, 3), np.uint8))
    whole = thumbnails.within(jpeg, jpeg)
    for head in (b"", b"\xff\xd8", jpeg, whole[:60], b"\x89PNG" + bytes(100), whole[:26] + bytes(40)):
        assert thumbnails.read(head) is None, head


def test_list_shows_small_picture_of_answered_photo(
    stack: LocalStack, admin: Operator, user: TelegramUser, photo: bytes
) -> None:
    user.wait_for_reply(user.send_photo(photo))
    identity = queries.latest_of_chat(user.chat_id)[0]
    address = admin.get(f"{JOBS}?chat={user.chat_id}").text.split('<img src="')[1].split('"')[0]
    assert address.startswith(f"{JOBS}{identity}/picture/?at=")
    picture = admin.get(address)
    assert (picture.headers["content-type"], max(_size(picture.content))) == ("image/jpeg", thumbnails.SIDE)
    assert picture.headers["cache-control"] == "private, no-cache"
    known = {"If-None-Match": picture.headers["etag"]}
    again = httpx.get(f"{next(iter(stack.sites.values()))}{address}", cookies=admin.cookies, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    images.delete(f"results/{identity}.jpg")
    gone = admin.get(address)
    assert (gone.status_code, gone.headers["location"]) == (302, "/static/staff/no_picture.svg")
    assert "no-store" in gone.headers["cache-control"]


def test_boxed_photo_of_earlier_release_has_no_small_picture(admin: Operator, stack: LocalStack, photo: bytes) -> None:
    images.put("results/old.jpg", photo, "image/jpeg")
    assert admin.get(f"{JOBS}old/picture/").status_code == 302
    images.put("results/old.jpg", b"", "image/jpeg")
    assert admin.get(f"{JOBS}old/picture/").status_code == 302
    images.delete("results/old.jpg")


def test_strangers_see_no_picture(stack: LocalStack) -> None:
    answer = Operator(next(iter(stack.sites.values()))).get(f"{JOBS}x/picture/")
    assert answer.headers["location"].startswith("/admin/login/")
    assert operators.staff(stack, "picture-none", []).get(f"{JOBS}x/picture/").status_code == 403
