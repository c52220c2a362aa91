"""Every sentence of the bot comes from a catalogue, so that another language needs no change of the code."""

import asyncio
import re
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings

from botsite import aws, language
from botsite.bot import features  # noqa: F401 - each registers its commands
from botsite.bot.answers import deliver
from botsite.bot.incoming import receive, updates
from botsite.bot.telegram import client
from botsite.bot.words import found, replies
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import FileReference, TelegramControl, TelegramUser
from detection.model import weights
from detection.picture import image_headers
from detection.record import images, predictions, reasons
from detection.record.reasons import Reason
from detection.record.schemas import Detection, Prediction
from detection.record.sentences import Code
from tests.support import catalogues, new_updates

MARKED = re.compile(r"⟦[^⟦⟧]*⟧")
BUS, PERSON, CUBE = (Detection(label, 0.9, 0.5, 0.5, 0.4, 0.4) for label in ("bus", "person", "cube"))


@pytest.fixture
def pseudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the bot speak nothing but a language in which every text stands between brackets."""
    catalogues.write(tmp_path, "xx", lambda text: f"⟦{text}⟧")
    monkeypatch.setattr(language, "NAMES", {"xx": "⟦⟧"})
    monkeypatch.setattr(language, "LOCALES", tmp_path)


def unmarked(text: str | None) -> str:
    """Return what of a text came from no catalogue; what stands within a marked sentence are its values."""
    rest = text or "nothing was said"
    while (shorter := MARKED.sub("", rest)) != rest:
        rest = shorter
    return rest.strip()


def run(work: Coroutine[Any, Any, object]) -> None:
    async def bounded() -> None:
        try:
            await work
        finally:
            await client.close()

    asyncio.run(bounded())


def said(user: TelegramUser) -> list[str | None]:
    return [message.caption or message.text for message in user.messages() if message.from_bot]


def read(update: dict[str, Any]) -> updates.Incoming:
    found = updates.read(update)
    assert found is not None
    return found


def finished(user: TelegramUser, end: Callable[[Prediction], object]) -> str:
    """Return the id of a photo whose work has come to this end."""
    identity = uuid4().hex
    predictions.create(Prediction(identity, user.chat_id, 7, f"photos/{identity}"))
    claimed = predictions.claim(identity, "a-job").prediction
    assert claimed is not None
    end(claimed)
    return identity


def failed(reason: Reason) -> Callable[[Prediction], object]:
    return lambda claimed: predictions.fail(claimed.prediction_id, reason)


@pytest.mark.parametrize("command", ["/start", "/help", "/privacy", "/nonsense", "hello"])
def test_answers_to_texts_are_translated(pseudo: None, stack: LocalStack, user: TelegramUser, command: str) -> None:
    run(receive.receive(read(new_updates.with_message(user.chat_id, text=command))))
    assert [unmarked(text) for text in said(user)] == [""]


@pytest.mark.parametrize("kind", [*replies.NO_PHOTO, "voice", "poll", "album entry without a photo"])
def test_answers_to_other_messages_are_translated(pseudo: None, kind: str) -> None:
    with language.speaking(None):
        assert unmarked(replies.no_photo(kind)) == ""


def test_apologies_are_translated(pseudo: None, stack: LocalStack, user: TelegramUser) -> None:
    run(receive.give_up(read(new_updates.with_message(user.chat_id, text="x"))))
    assert [unmarked(text) for text in said(user)] == [""]


@pytest.mark.parametrize("file", [{"mime_type": "application/pdf"}, {"file_size": 25 * 1024**2}, {}])
def test_refusals_are_stored_in_english_and_translated(
    pseudo: None, stack: LocalStack, user: TelegramUser, file: dict[str, Any]
) -> None:
    photo = read(new_updates.with_message(user.chat_id, document=new_updates.FILE | file))
    assert isinstance(photo, updates.Photo)
    run(receive.receive(photo))
    assert [unmarked(text) for text in said(user)] == [""]
    stored = predictions.find(receive.prediction_id(int(stack.env["TELEGRAM_TOKEN"].partition(":")[0]), photo))
    assert stored is not None
    assert f"⟦{stored.error}⟧" in {text.replace("⟦", "⟦", 1) for text in filter(None, said(user))}


def test_too_large_file_is_refused_in_translation(
    pseudo: None, stack: LocalStack, user: TelegramUser, known_file: FileReference
) -> None:
    control = TelegramControl(stack.telegram_url)
    control.fault("getFile", "bad_request", description="Bad Request: file is too big")
    run(receive.receive(read(new_updates.with_photo(user.chat_id, known_file, date=int(time.time())))))
    assert said(user) == [f"⟦{Code.TOO_LARGE_FOR_BOTS.value}⟧"]


@pytest.mark.parametrize(
    "reason",
    [
        *(Reason(code) for code in Code if "{" not in code.value),
        image_headers.too_many_pixels(9000, 8000).reason,
        Reason(Code.TOO_LARGE, {"megabytes": "25"}),
    ],
    ids=lambda reason: reason.code.name,
)
def test_failures_are_translated_as_they_are_sent(
    pseudo: None, stack: LocalStack, user: TelegramUser, reason: Reason
) -> None:
    run(deliver.deliver(finished(user, failed(reason))))
    assert said(user) == [f"⟦{reason}⟧"]


@pytest.mark.parametrize("words", ["Sorry, the power went out in Berlin.", "The image is damaged (old words)."])
def test_untranslated_text_is_sent_unchanged(pseudo: None, stack: LocalStack, user: TelegramUser, words: str) -> None:
    run(deliver.deliver(finished(user, failed(reasons.of(words)))))
    assert said(user) == [words]


@pytest.mark.parametrize("detections", [[], [BUS], [PERSON, BUS, PERSON]])
def test_results_are_translated(
    pseudo: None, stack: LocalStack, user: TelegramUser, photo: bytes, detections: list[Detection]
) -> None:
    def succeed(claimed: Prediction) -> None:
        images.put(claimed.result_key, photo, "image/jpeg")
        predictions.succeed(claimed, detections, "model", 1)

    run(deliver.deliver(finished(user, succeed)))
    assert [unmarked(text) for text in said(user)] == [""]


def test_apology_for_unreadable_result_is_translated(pseudo: None, stack: LocalStack, user: TelegramUser) -> None:
    identity = finished(user, failed(reasons.of("x")))
    aws.dynamodb().update_item(
        TableName=settings.PREDICTIONS_TABLE,
        Key={"prediction_id": identity},
        UpdateExpression="SET created_at = :junk",
        ExpressionAttributeValues={":junk": "yesterday"},
    )
    run(deliver.deliver(identity))
    assert said(user) == [f"⟦{Code.GIVEN_UP.value}⟧"]


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (["person", "bus", "person", "person"], "3 people, 1 bus"),
        (["mouse", "sheep", "mouse", "sheep", "knife"], "2 mice, 2 sheep, 1 knife"),
        (["tv", "scissors", "scissors"], "2 pairs of scissors, 1 TV"),
        (["box", "box", "puppy", "puppy", "cube", "cube", "toy", "toy"], "2 boxes, 2 cubes, 2 puppies, 2 toys"),
    ],
)
def test_counts_are_plain_english(labels: list[str], text: str) -> None:
    assert found.counts([Detection(label, 0.9, 0.5, 0.5, 0.4, 0.4) for label in labels]) == text


def test_caption_fits_telegrams_limit() -> None:
    text = found.counts([Detection(f"object number {number}", 0.9, 0.5, 0.5, 0.4, 0.4) for number in range(200)])
    assert len(text) <= found.CAPTION_LENGTH
    assert text.endswith(", …")


def test_every_coco_class_has_plural() -> None:
    weights.ultralytics()
    from ultralytics.utils import ROOT, YAML

    assert set(language.PLURALS) == set(YAML.load(ROOT / "cfg" / "datasets" / "coco.yaml")["names"].values())
