"""Every language of the bot is complete, and what it says in one is grammatical and fits."""

import asyncio
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from threading import Thread
from types import ModuleType

import pytest
import yaml
from django.conf import settings

from botsite import language
from botsite.bot.buttons import cancel, complaints, looks, presses, redraw
from botsite.bot.people import erase, history, knows, preferences
from botsite.bot.words import captions, found, replies
from botsite.language import NAMES
from detection.picture import image_headers
from detection.record.choosing import resolve
from detection.record.schemas import Detection, Options, Prediction, Unknown
from tests.support import catalogues
from tests.support.catalogues import TRANSLATED

ROOT = Path(__file__).resolve().parent.parent
# Of answerCallbackQuery, and of the widest buttons, of which three stand side by side at most.
ALERT_LENGTH, CLASS_BUTTON_LENGTH = 200, 24
# Their constants are notices for who presses a button; but for these, which are messages.
NOTICING = (presses, cancel, complaints, erase, history, knows, preferences, redraw)
MESSAGES = (erase.ASK, erase.ASK_IN_GROUP, preferences.TEXT)
BUS = Detection("bus", 0.9, 0.5, 0.4, 0.5, 0.5)


def boxes(label: str, number: int, cx: float = 0.5, confidence: float = 0.9) -> list[Detection]:
    return [Detection(label, confidence, cx, 0.6, 0.1, 0.5)] * number


def _constants(module: ModuleType) -> list[str]:
    return [text for name, text in vars(module).items() if name.isupper() and isinstance(text, str)]


@pytest.mark.parametrize("code", TRANSLATED)
def test_nothing_is_missing_or_too_long(code: str) -> None:
    assert catalogues.problems(code) == []


@pytest.mark.parametrize("code", TRANSLATED)
def test_committed_catalogues_are_up_to_date(code: str) -> None:
    """`python -m tests.support.catalogues` writes them."""
    assert catalogues.TEMPLATE.read_text() == catalogues.template()
    assert catalogues.path(code, "po").read_text() == catalogues.source(code)
    assert catalogues.path(code, "mo").read_bytes() == catalogues.binary(code)


def test_every_catalogue_can_be_chosen() -> None:
    folders = {path.name for path in language.LOCALES.iterdir() if path.is_dir()}
    template = yaml.load((ROOT / "deploy/cloudformation/web.yaml").read_text(), yaml.BaseLoader)  # noqa: S506
    pattern = template["Parameters"]["BotLanguages"]["AllowedPattern"]
    assert {language.ENGLISH, *folders} == set(NAMES)
    assert all(re.fullmatch(pattern, text) for text in ("", *NAMES, ",".join(NAMES)))
    assert not re.fullmatch(pattern, "de,xx")


@pytest.mark.parametrize("code", TRANSLATED)
def test_alerts_fit(code: str) -> None:
    with language.speaking(code):
        notices = [language.gettext(text) for module in NOTICING for text in _constants(module) if text not in MESSAGES]
    assert notices
    assert [text for text in notices if len(text) > ALERT_LENGTH] == []


@pytest.mark.parametrize("code", NAMES)
def test_buttons_fit(code: str) -> None:
    with language.speaking(code):
        for pair in pairwise(language.NAMED):
            seen = tuple(boxes(label, 1)[0] for label in pair)
            prediction = Prediction("0" * 32, 1, 2, "photos/x", detections=seen, candidates=seen)
            rows = looks.keyboard(prediction, looks.first(prediction))
            assert [button.text for row in rows for button in row if len(button.text) > CLASS_BUTTON_LENGTH] == []


@pytest.mark.parametrize("code", NAMES)
def test_captions_fit(code: str) -> None:
    everything = [box for number, label in enumerate(language.NAMED) for box in boxes(label, number + 1)]
    unsure = [box for label in language.NAMED for box in boxes(label, 1, confidence=0.3)]
    with language.speaking(code):
        assert len(found.caption(everything + unsure)) <= found.CAPTION_LENGTH


@pytest.mark.parametrize(
    ("code", "counts", "sentence"),
    [
        ("en", "2 people, 1 bus, and perhaps a dog", "Two people on the left, a bus behind them."),
        ("de", "2 Personen, 1 Bus und vielleicht ein Hund", "Zwei Personen links, dahinter ein Bus."),
        ("es", "2 personas, 1 autobús y quizá un perro", "Dos personas a la izquierda, un autobús detrás."),
        ("ru", "2 человека, 1 автобус и, возможно, собака", "2 человека слева, позади — автобус."),
        ("ar", "شخصان، حافلة، وربما كلب", "شخصان على اليسار، وفي الخلف حافلة."),
    ],
)
def test_captions_are_grammatical(code: str, counts: str, sentence: str) -> None:
    with language.speaking(code):
        text = found.caption([*boxes("person", 2, 0.3), BUS, *boxes("dog", 1, confidence=0.3)])
    assert text.split("\n\n") == [counts, sentence]


@pytest.mark.parametrize(
    ("code", "forms"),
    [
        ("de", {1: "1 Katze", 2: "2 Katzen", 100: "100 Katzen"}),
        ("es", {1: "1 gato", 2: "2 gatos", 100: "100 gatos"}),
        ("ru", {1: "1 кошка", 2: "2 кошки", 5: "5 кошек", 11: "11 кошек", 21: "21 кошка", 24: "24 кошки"}),
        ("ar", {1: "قطة", 2: "قطتان", 3: "3 قطط", 10: "10 قطط", 11: "11 قطة", 100: "100 قطة", 103: "103 قطط"}),
    ],
)
def test_counted_objects_have_their_forms(code: str, forms: dict[int, str]) -> None:
    with language.speaking(code):
        assert {number: found.counts(boxes("cat", number)) for number in forms} == forms


@pytest.mark.parametrize(
    ("code", "seconds", "text"),
    [
        ("de", 20, "Dein Foto ist als Drittes dran. Es dauert etwa 20 Sekunden."),
        ("es", 120, "Tu foto es la tercera en la cola. Tardará unos 2 minutos."),
        ("ru", 21 * 60, "Твоё фото — третье в очереди. Это займёт около 21 минуты."),
        ("ar", 120, "صورتك هي الثالثة في الطابور. سيستغرق ذلك نحو دقيقتين."),
    ],
)
def test_wait_is_told_in_each_language(code: str, seconds: float, text: str) -> None:
    with language.speaking(code):
        assert replies.in_line(3, seconds, starting=False) == text


def test_latin_words_keep_their_place_in_arabic() -> None:
    with language.speaking("ar"):
        assert "«⁨onyl⁩»" in replies.not_understood([Unknown("onyl", "only")])
        assert found.counts(boxes("cube", 3)) == "3 ⁨cubes⁩"
        assert "⁨9000 x 8000⁩" in replies.failure(image_headers.too_many_pixels(9000, 8000).reason)
        latin = [text for text in map(replies.command, replies.COMMANDS) if re.search(r"(?<![⁨\w/ ,;.])[a-z]{3}", text)]
    assert latin == []
    with language.speaking("de"):
        assert "„onyl“" in replies.not_understood([Unknown("onyl", "only")])


@pytest.mark.parametrize(
    ("code", "caption"),
    [
        ("de", "only Hund, Katzen"),
        ("es", "only perro y gatos"),
        ("ru", "only Собака и кошек"),
        ("ar", "only كلب، قطط"),
        ("ar", "only dog, cat"),
        ("ar", "only كلب، قطه"),
        ("de", "only bitte die Hunde oder Katzen"),
    ],
)
def test_caption_takes_names_of_its_language(code: str, caption: str) -> None:
    with language.speaking(code):
        assert captions.read(caption).only == ("dog", "cat")


@pytest.mark.parametrize(
    ("code", "names", "labels"),
    [
        ("ru", "самолет, ножницы, лыжи, часы, автомобили", ["airplane", "scissors", "skis", "clock", "car"]),
        ("es", "avion, raton, tijeras", ["airplane", "mouse", "scissors"]),
        ("ar", "اريكة، قطه", ["couch", "cat"]),
        ("ru", "люди", ["person"]),
        ("es", "gente", ["person"]),
        ("de", "Leute", ["person"]),
        ("de", "Menschen", ["person"]),
        ("ar", "ناس", ["person"]),
    ],
)
def test_names_are_known_as_people_type_them(code: str, names: str, labels: list[str]) -> None:
    with language.speaking(code):
        assert captions.read(f"only {names}").only == tuple(labels)
        for name, label in zip(re.split("[,،] ", names), labels, strict=True):
            assert language.called(label) in knows.search(name, [label])
            assert resolve(Options(only=(name,)), language.NAMED, code) == Options(only=(label,))


@pytest.mark.parametrize("code", NAMES)
def test_every_name_is_that_of_its_class(code: str) -> None:
    with language.speaking(code):
        names = language.names()
        for label in language.NAMED:
            assert {names[language.fold(language.called(label, number))] for number in (1, 2, 5, 100)} == {label}


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "I didn't find any people, dogs or cats in this photo."),
        ("de", "Auf diesem Foto habe ich keine Personen, Hunde oder Katzen gefunden."),
        ("es", "No he encontrado personas, perros ni gatos en esta foto."),
        ("ru", "Я не нашёл на этом фото человека, собаки или кошки."),
        ("ar", "لم أجد في هذه الصورة أي شخص، كلب أو قطة."),
    ],
)
def test_missing_classes_are_named_grammatically(code: str, text: str) -> None:
    with language.speaking(code):
        assert replies.none_of(["person", "dog", "cat"]) == text


@pytest.mark.parametrize(
    ("offered", "wanted", "spoken"),
    [
        ([], ("de",), "de"),
        ([], ("de-at",), "de"),
        ([], (None, "", "pt-br"), "en"),
        ([], ("fr", "de"), "de"),
        ([], ("en", "de"), "en"),
        (["de", "en"], ("ar", "ru"), "en"),
        (["de", "en"], ("ar", "de"), "de"),
        (["ar", "de"], ("ru",), "ar"),
    ],
)
def test_first_available_language_is_spoken(
    monkeypatch: pytest.MonkeyPatch, offered: list[str], wanted: tuple[str | None, ...], spoken: str
) -> None:
    monkeypatch.setattr(settings, "BOT_LANGUAGES", offered)
    assert list(language.available()) == (offered or list(NAMES))
    with language.speaking(*wanted):
        assert language.current() == spoken
    assert language.current() == language.ENGLISH


@pytest.mark.parametrize(
    ("given", "said"), [("", "[]"), (" de, EN,de ", "['de', 'en']"), ("de,klingon", "BOT_LANGUAGES has klingon")]
)
def test_unknown_language_stops_the_start(given: str, said: str) -> None:
    code = "from botsite import settings; print(settings.BOT_LANGUAGES)"
    env = {"PATH": os.environ["PATH"], "BOT_LANGUAGES": given}
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert said in ended.stdout + ended.stderr
    assert (ended.returncode == 0) is said.startswith("[")


def test_languages_at_once_stay_apart() -> None:
    async def say(code: str) -> list[str]:
        said = []
        with language.speaking(code):
            for _ in range(20):
                await asyncio.sleep(0)
                said += [replies.nothing_found(), await asyncio.to_thread(replies.nothing_found)]
        return said

    async def at_once() -> list[list[str]]:
        return await asyncio.gather(*map(say, NAMES))

    for code, said in zip(NAMES, asyncio.run(at_once()), strict=True):
        with language.speaking(code):
            assert set(said) == {replies.nothing_found()}


def test_new_thread_speaks_english() -> None:
    said: list[str] = []
    with language.speaking("de"):
        thread = Thread(target=lambda: said.append(replies.nothing_found()))
        thread.start()
        thread.join()
    assert said == [replies.NOTHING_FOUND]
