"""Every language of the bot is complete, and what it says in one is grammatical and fits."""

import asyncio
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import replace
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
from botsite.language import NAMES, names
from detection.picture import image_headers
from detection.record import queries, times
from detection.record.choosing import resolve
from detection.record.reasons import Reason
from detection.record.schemas import Detection, Form, Options, Prediction, Status, Unknown
from detection.record.sentences import LIMITS
from tests.support import catalogues
from tests.support.cases import slow_after
from tests.support.catalogues import TRANSLATED

ROOT = Path(__file__).resolve().parents[2]
# Of answerCallbackQuery, and of the widest buttons, of which three stand side by side at most.
ALERT_LENGTH, CLASS_BUTTON_LENGTH = 200, 27
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


@pytest.mark.parametrize("code", slow_after(1, TRANSLATED))
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
        (
            "en",
            "2 or 3 people, 1 bus, maybe 1 dog",
            "2 people on the left, 1 bus in the middle, maybe 1 dog on the right.",
        ),
        (
            "de",
            "2 oder 3 Personen, 1 Bus und vielleicht 1 Hund",
            "2 Personen links, 1 Bus in der Mitte, vielleicht 1 Hund rechts.",
        ),
        (
            "es",
            "2-3 personas, 1 autobús y quizá 1 perro",
            "2 personas a la izquierda, 1 autobús en el centro, quizá 1 perro a la derecha.",
        ),
        (
            "ru",
            "2 или 3 человека, 1 автобус и, возможно, 1 собака",
            "2 человека слева, 1 автобус посередине, возможно, 1 собака справа.",
        ),
        ("ar", "2 أو 3 أشخاص، حافلة، وربما كلب", "شخصان على اليسار، حافلة في الوسط، ربما كلب على اليمين."),
    ],
)
def test_captions_are_grammatical(code: str, counts: str, sentence: str) -> None:
    with language.speaking(code):
        text = found.caption(
            [*boxes("person", 2, 0.3), *boxes("person", 1, confidence=0.3), BUS, *boxes("dog", 1, 0.8, confidence=0.3)],
            where=True,
        )
    assert text.split("\n\n") == [counts, sentence]


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ("de", ["1 oder 2 Katzen", "1 bis 5 Katzen", "Vielleicht 1 Auto, 1 Bus und 2 weitere"]),
        ("es", ["1-2 gatos", "1-5 gatos", "Quizá 1 autobús, 1 coche y 2 más"]),
        ("ru", ["1 или 2 кошки", "1–5 кошек", "Возможно, 1 автобус, 1 автомобиль и ещё 2"]),
        ("ar", ["قطتان على الأكثر (1 أو 2)", "من 1 إلى 5 قطط", "ربما حافلة، سيارة وشيئان آخران"]),
    ],
)
def test_doubt_is_grammatical(code: str, texts: list[str]) -> None:
    cat, unsure = boxes("cat", 1), boxes("cat", 4, confidence=0.3)
    others = [box for label in ("bus", "car", "dog") for box in boxes(label, 1, confidence=0.3)]
    with language.speaking(code):
        found_in = [[*cat, *unsure[:1]], [*cat, *unsure], [*unsure[:1], *others]]
        assert [found.counts(each) for each in found_in] == texts


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
        assert "«⁨onyl⁩»" in replies.not_understood(Options(unknown=(Unknown("onyl", "only"),)))
        assert found.counts(boxes("cube", 3)) == "3 ⁨cubes⁩"
        assert "⁨9000 x 8000⁩" in replies.failure(image_headers.too_many_pixels(9000, 8000).reason)
        latin = [text for text in map(replies.command, replies.COMMANDS) if re.search(r"(?<![⁨\w/ ,;.])[a-z]{3}", text)]
    assert latin == []
    with language.speaking("de"):
        assert "„onyl“" in replies.not_understood(Options(unknown=(Unknown("onyl", "only"),)))


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
            assert language.several(label) in knows.search(name, [label])
            assert resolve(Options(only=(name,)), language.NAMED, code) == Options(only=(label,))


def arabic_history() -> list[str]:
    photo = Prediction("x", 1, 2, "photos/x", status=Status.SUCCEEDED, created_at=times.now())
    return [history._line(replace(photo, detections=tuple(boxes("person", number)))) for number in (0, 1, 3, 12)]


def arabic_statistics() -> list[str]:
    at = times.now()
    photo = Prediction("x", 1, 2, "photos/x", created_at=at, delivered_at=at, detections=tuple(boxes("person", 3)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queries, "page_of_chat", lambda *_, **__: (["x"], False))
        patch.setattr(queries, "known_briefly", lambda ids: {"x": photo})
        return history._statistics(1).splitlines()


def arabic_limits() -> list[str]:
    values = dict.fromkeys(("most", "taken", "sent", "seconds", "time"), "12:01:07")
    return [replies.failure(Reason(code, values)) for code in LIMITS]


def arabic_complaint() -> list[str]:
    photo = Prediction("0" * 32, 1, 2, "photos/x", candidates=tuple(boxes("dog", 2)), classes={"dog": 16})
    return [button.text for row in complaints.keyboard(photo, looks.Look(25)) for button in row]


def arabic_answers() -> list[str]:
    return [found.counts(boxes("person", 3)), replies.NO_TEXT, replies.HEADS, replies.NOTHING_FOUND]


@pytest.mark.parametrize(
    "lines",
    [arabic_history, arabic_statistics, arabic_limits, arabic_complaint, arabic_answers],
    ids=lambda each: each.__name__,
)
def test_lines_in_arabic_begin_with_arabic(lines: Callable[[], list[str]]) -> None:
    """An app lays a line out from right to left if its first letter outside isolates is Arabic."""
    with language.speaking("ar"):
        texts = [language.gettext(line) for line in lines()]
    assert texts
    for text in texts:
        first = next(letter for letter in re.sub("⁨.*?⁩", "", text) if letter.isalpha())
        assert unicodedata.bidirectional(first) == "AL"


@pytest.mark.parametrize("code", NAMES)
def test_help_names_options_that_captions_take(code: str) -> None:
    with language.speaking(code):
        said = language.gettext(replies.HELP).replace("⁨", "").replace("⁩", "")
        (asked,) = re.findall(r": ([^\n]*json)", said)
        read = [captions.read(part.split(" (")[0]) for part in re.split("[;؛] ", asked)]
    assert read[0].only
    assert (read[1].least, read[2].labels, read[3].blur) == (0.4, False, True)
    assert [each.form for each in read[4:]] == [Form.CROPS, Form.JSON]


@pytest.mark.parametrize("code", NAMES)
def test_settings_say_where_names_in_pictures_are_english(code: str) -> None:
    english = {"ar": "بالإنجليزية داخل الصورة"}
    with language.speaking(code):
        stays = code != language.ENGLISH and language.in_picture("dog") == "dog"
        assert stays is (code in english)
        assert english.get(code, "") in preferences._text(preferences.NONE, 25)


@pytest.mark.parametrize(
    ("code", "labels", "names"),
    [
        ("de", ["bus", "bear", "banana", "apple", "couch"], ["Apfel", "Banane", "Bär", "Bus", "Sofa"]),
        ("es", ["bird", "laptop", "person", "potted plant"], ["pájaro", "persona", "planta", "portátil"]),
        ("ru", ["mouse", "knife", "cell phone", "skis"], ["компьютерная мышь", "нож", "пара лыж", "телефон"]),
    ],
)
def test_lists_are_sorted_as_the_language_sorts(code: str, labels: list[str], names: list[str]) -> None:
    with language.speaking(code):
        listed = knows.page(labels, 0)[0].split("\n\n")[1].split(", ")
        assert [name.split()[0] for name in listed] == [name.split()[0] for name in names]
        assert sorted(["nz", "ña", "oa"], key=language.order) == ["nz", "ña", "oa"]
        assert sorted(["йод", "иней", "к"], key=language.order) == ["иней", "йод", "к"]


@pytest.mark.parametrize("code", NAMES)
def test_classes_with_one_number_are_in_the_order_of_the_alphabet(code: str) -> None:
    with language.speaking(code):
        comma = language.gettext(", ")
        listed = found.counts([boxes(label, 5)[0] for label in ("bear", "bus", "zebra", "apple")]).split(comma)
        assert listed == sorted(listed, key=language.order)


@pytest.mark.parametrize("code", NAMES)
def test_every_name_is_that_of_its_class(code: str) -> None:
    with language.speaking(code):
        for label in language.NAMED:
            called = [*(language.called(label, number) for number in (1, 2, 5, 100)), language.several(label)]
            assert {names.meaning(name) for name in called} == {names.Meaning(name, label) for name in called}


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "I didn't find any people, dogs or cats in this photo."),
        ("de", "Auf diesem Foto habe ich keine Personen, Hunde oder Katzen gefunden."),
        ("es", "No he encontrado personas, perros ni gatos en esta foto."),
        ("ru", "Я не нашёл на этом фото людей, собак или кошек."),
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
