"""Photos fail for a reason: a code and values. Sentences of earlier releases are read, and they can read ours."""

from collections.abc import Mapping
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings

from botsite import aws, language
from botsite.bot.words import replies
from botsite.staff.jobs import query
from botsite.staff.jobs.filters import Filters, JobState
from deploy.local.stack import LocalStack
from detection.record import deliveries, items, predictions, queries, reasons, times
from detection.record.reasons import Reason
from detection.record.schemas import Prediction
from detection.record.sentences import Code
from metrics.health import photos

VALUES: Mapping[Code, dict[str, str]] = {
    Code.TOO_MANY_PIXELS: {"width": "9000", "height": "8000", "megapixels": "72", "most": "50"},
    Code.TOO_LARGE: {"megabytes": "25"},
    Code.LIMIT_MINUTE: {"most": "5", "time": "12:01:07"},
    Code.LIMIT_DAY: {"most": "100", "time": "00:00"},
    Code.TOO_MANY: {"taken": "30", "sent": "45", "most": "30", "seconds": "40"},
    Code.WORDS: {"words": "The power {went} out."},
}
ALL = [Reason(code, VALUES.get(code, {})) for code in Code]
REFUSED = {reason.code.name for reason in ALL if reason.refused}
# What the release before stored: it reads our `error`, and we read its.
BEFORE = {
    "NO_IMAGE": "That's not an image in a format I can read (JPEG, PNG, WebP, HEIC, ...).",
    "NO_CLIP": "I couldn't read this clip. Send me a frame of it as a photo.",
    "DAMAGED": "I couldn't open this image: it is damaged or incomplete. Send it again, or another copy of it.",
    "TOO_MANY_PIXELS": "This image has 9000 x 8000 pixels (72 megapixels). I can only handle up to 50 megapixels: "
    "send it as a photo instead.",
    "TOO_MUCH": "I couldn't open this image: it is damaged, too large or too complicated. Try sending it as a photo.",
    "TOO_LARGE": "That file is 25 MB. Telegram lets me fetch files of up to 20 MB: send it as a photo instead.",
    "TOO_LARGE_FOR_BOTS": "Telegram lets me fetch files of up to 20 MB, and this one is larger: send it as a photo "
    "instead.",
    "UNAVAILABLE": "I can't get that file from Telegram any more. Please send the photo again.",
    "PHOTO_GONE": "Your photo is no longer stored. Please send it again.",
    "OWN_FAILURE": "Something about this picture trips me up, so I couldn't process it. Other photos still work.",
    "LIMIT_MINUTE": "You've reached the limit of photos for one person: 5 a minute. I take photos again from 12:01:07 "
    "UTC on; please send what's missing then.",
    "LIMIT_DAY": "You've reached the limit of photos for one person: 100 a day. I take photos again from 00:00 UTC on; "
    "please send what's missing then.",
    "CANCELLED": "Cancelled. Send me another photo whenever you like.",
    "GIVEN_UP": "Something went wrong on my side and I couldn't process this. Please try again later.",
    "APOLOGY": "Sorry, I couldn't process this photo. Please send it again.",
    "WORDS": "The power {went} out.",
}
EARLIER = [
    ("NO_IMAGE", "That is not an image in a format I can read (JPEG, PNG, WebP, HEIC, ...)."),
    ("DAMAGED", "I couldn't open this image: it is damaged or incomplete."),
    ("DAMAGED", "The image is damaged or incomplete: it cannot be decoded."),
    ("TOO_MANY_PIXELS", "This image has 9000 x 8000 pixels (72 megapixels). I can only handle up to 50 megapixels."),
    ("TOO_MANY_PIXELS", "The image has 9000 x 8000 pixels, 72 megapixels. I can look at up to 50."),
    ("TOO_MANY_PIXELS", "The image has 9000 x 8000 pixels, 72 megapixels. I can work on up to 50."),
    ("TOO_LARGE", "The file has 25 MB. Telegram lets me fetch files of up to 20 MB: send it as a photo instead."),
    ("UNAVAILABLE", "Telegram no longer has that file. Please send the photo again."),
    ("PHOTO_GONE", "The photo is no longer stored. Please send it again."),
    ("GIVEN_UP", "Something went wrong on my side, several times. Please send the photo again later."),
    ("GIVEN_UP", "Something went wrong on my side, several times. Please try again later."),
    ("APOLOGY", "Sorry, I could not work on this photo. Please send it again."),
]


@pytest.mark.parametrize(("code", "sentence"), [*BEFORE.items(), *EARLIER])
def test_sentence_of_any_release_is_read(code: str, sentence: str) -> None:
    assert reasons.of(sentence) == Reason(Code[code], VALUES.get(Code[code], {}))


def test_release_before_knows_what_is_written() -> None:
    assert {reason.code.name: str(reason) for reason in ALL if reason.code.name in BEFORE} == BEFORE


def test_failures_of_ours_are_no_refusals() -> None:
    assert {code.name for code in Code} - REFUSED == {"PHOTO_GONE", "OWN_FAILURE", "GIVEN_UP", "APOLOGY", "WORDS"}


@pytest.mark.parametrize("code", language.NAMES)
@pytest.mark.parametrize("reason", ALL, ids=lambda reason: reason.code.name)
def test_every_reason_is_told_in_every_language(reason: Reason, code: str) -> None:
    with language.speaking(code):
        said = replies.failure(reason)
    assert all(value in said.replace("⁨", "").replace("⁩", "") for value in reason.values.values())
    assert (said == str(reason)) is (code == language.ENGLISH or reason.code is Code.WORDS)


def test_reason_without_its_values_cannot_be_made() -> None:
    with pytest.raises(KeyError, match="megabytes"):
        Reason(Code.TOO_LARGE)


# ------------------------------------------------------------------------------------------------ stored

_chats = count(730_000)


def failed(reason: Reason, **more: Any) -> str:
    """Store a photo that failed for a reason; return its id."""
    identity = uuid4().hex
    predictions.create(Prediction(identity, next(_chats), 8, f"photos/{identity}", photo_bytes=1, **more))
    assert predictions.fail(identity, reason).granted
    return identity


def item_of(identity: str) -> dict[str, Any]:
    item = predictions.find_item(identity)
    assert item is not None
    return item


def change(identity: str, **values: Any) -> None:
    """Overwrite attributes of an item; None deletes one."""
    item = {name: value for name, value in (item_of(identity) | values).items() if value is not None}
    aws.dynamodb().put_item(TableName=settings.PREDICTIONS_TABLE, Item=item)


def read(identity: str) -> Prediction:
    found = predictions.find(identity)
    assert found is not None
    return found


@pytest.mark.parametrize("reason", ALL, ids=lambda reason: reason.code.name)
def test_item_has_reason_and_sentence(stack: LocalStack, reason: Reason) -> None:
    identity = failed(reason)
    item, found = item_of(identity), read(identity)
    stored = {"code": reason.code.name, "values": reason.values, "at": item["finished_at"]}
    assert (item["error"], item["reason"]) == (str(reason), stored)
    assert (found.error, found.reason) == (str(reason), reason)
    assert items.write(found)["reason"] == stored


def test_reworded_sentence_changes_no_reason(stack: LocalStack) -> None:
    identity = failed(Reason(Code.TOO_LARGE, {"megabytes": "25"}))
    change(identity, error="Too big.")
    assert read(identity).reason == Reason(Code.TOO_LARGE, {"megabytes": "25"})


@pytest.mark.parametrize("lost", [{"code": "OF_A_LATER_RELEASE"}, {"code": "TOO_LARGE"}, {"at": ""}, {"values": None}])
def test_unreadable_reason_is_read_from_its_sentence(stack: LocalStack, lost: dict[str, Any]) -> None:
    identity = failed(Reason(Code.DAMAGED))
    change(identity, reason=item_of(identity)["reason"] | lost)
    assert read(identity).reason == Reason(Code.DAMAGED)


def test_reason_is_not_that_of_a_later_failure_in_the_release_before(stack: LocalStack) -> None:
    identity = failed(Reason(Code.CANCELLED))
    # It reopens and fails a photo without a look at `reason`.
    change(identity, finished_at=times.text(times.now(timedelta(seconds=9))), error=BEFORE["GIVEN_UP"])
    assert (read(identity).reason, read(identity).cancelled) == (Reason(Code.GIVEN_UP), False)


def test_reopened_photo_has_no_reason(stack: LocalStack) -> None:
    identity = failed(Reason(Code.DAMAGED))
    assert predictions.reopen(identity).granted
    assert item_of(identity).keys().isdisjoint({"error", "reason"})


@pytest.mark.parametrize("stored", [{}, {"reason": None}, {"error": "Stopped."}])
@pytest.mark.parametrize("code", [Code.CANCELLED, Code.DAMAGED])
def test_only_cancelled_photos_wait_for_their_album(stack: LocalStack, code: Code, stored: dict[str, Any]) -> None:
    identity = failed(Reason(code), album_id="an album")
    change(identity, **stored)
    assert read(identity).with_album is (code is Code.CANCELLED)
    assert deliveries.claim(identity).granted is (code is Code.DAMAGED)


@pytest.mark.parametrize("stored", [{}, {"reason": None}, {"error": "Reworded."}])
@pytest.mark.parametrize("code", [Code.DAMAGED, Code.GIVEN_UP])
def test_jobs_are_filtered_by_reason(stack: LocalStack, code: Code, stored: dict[str, Any]) -> None:
    identity = failed(Reason(code))
    change(identity, **stored)
    chat, of_code = read(identity).chat_id, JobState.REFUSED if code is Code.DAMAGED else JobState.FAILED
    for state in (JobState.REFUSED, JobState.FAILED):
        chosen = Filters(state, chat=chat)
        ids = [identity] if state is of_code else []
        assert [row.prediction_id for row in query.page(chosen).rows] == ids
        assert [row.prediction_id for rows in query.walk(chosen) for row in rows] == ids
        assert query.count(chosen) == query.Count(len(ids), exact=True)


def test_dashboard_counts_by_reason(stack: LocalStack) -> None:
    before = photos.read_photos()
    for code in (Code.DAMAGED, Code.GIVEN_UP):
        failed(Reason(code))
        change(failed(Reason(code)), reason=None)
        change(failed(Reason(code)), error="Reworded.")
    after = photos.read_photos()
    assert (after.refused - before.refused, after.failed - before.failed) == (3, 3)


def test_reasons_are_found_of_more_photos_than_are_asked_for_at_once(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_AT_ONCE", 2)
    ids = [failed(Reason(Code.NO_CLIP)) for _ in range(5)]
    found = queries.with_reasons([{"prediction_id": each, "error": "x"} for each in [*ids, "unknown"]])
    assert [items.read_reason(each) for each in found] == [Reason(Code.NO_CLIP)] * 5 + [reasons.of("x")]
