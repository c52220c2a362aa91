"""The bot's texts as gettext knows them: found in the code, and kept as a catalogue for each language.

After a change of the bot's sentences, or of a translation, `python -m tests.support.catalogues` rewrites the template,
the catalogues and their compiled forms, without any tool of gettext, and lists what is missing or wrong.
"""

import ast
import gettext
import json
import re
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from botsite import language
from detection.record.sentences import Code

TEMPLATE = language.LOCALES / "bot.pot"
TRANSLATED = tuple(code for code in language.NAMES if code != language.ENGLISH)
# Which arguments of these functions are texts.
_KEYWORDS = {"noop": 1, "gettext": 1, "ngettext": 2}
_VALUE = re.compile(r"\{\w+\}")
# A short text that is no sentence stands on a button, where a phone shows so much of it.
_BUTTON = re.compile(r"[A-Z][^{}]{0,19}(?<![.!?:])")
BUTTON_LENGTH = 20
# Of a sendMessage.
_TEXT_LENGTH = 4096
Message = tuple[str, ...]
# The forms of each text in some language.
Texts = Mapping[Message, tuple[str, ...]]


def messages() -> list[Message]:
    """Return each text of the bot, with its plural if it has one."""
    bot = Path(language.__file__).parents[1]
    files = sorted(bot.rglob("*.py"), key=lambda file: file.name)
    found = [message for file in files for message in _marked(ast.parse(file.read_text()))]
    found += [(code.value,) for code in Code if code is not Code.WORDS]
    names = [(language.singular(label), language.plural(label)) for label in language.NAMED]
    return [*dict.fromkeys(found), *names, *((language.one(label),) for label in language.NAMED)]


def update() -> list[str]:
    """Rewrite the template and every catalogue; return what is missing or wrong in them."""
    TEMPLATE.write_text(template())
    for code in TRANSLATED:
        # Before it is rewritten: a translator's mistake must not cost what else is in the file.
        written, compiled = source(code), binary(code)
        path(code, "po").write_text(written)
        path(code, "mo").write_bytes(compiled)
    return [f"{code}: {problem}" for code in TRANSLATED for problem in problems(code)]


def path(code: str, kind: str) -> Path:
    """Return where the catalogue of a language is kept: "po" for people, "mo" for the bot."""
    return language.LOCALES / code / "LC_MESSAGES" / f"bot.{kind}"


def template() -> str:
    """Return what translators begin with."""
    return _document(_header(), ("", {message: ("",) * len(message) for message in messages()}))


def source(code: str) -> str:
    """Return a catalogue as it should be written: each text of the bot, in the code's order, as far as translated."""
    catalogue = _catalogue(code)
    comments = {_key(each.id): "".join(f"# {line}\n" for line in each.user_comments) for each in catalogue if each.id}
    texts, empty = _texts(catalogue), ("",) * catalogue.num_plurals
    return _document(
        _header(code, catalogue),
        *((comments.get(one, ""), {one: texts.get(one) or empty[: None if len(one) > 1 else 1]}) for one in messages()),
    )


def binary(code: str) -> bytes:
    """Return a catalogue compiled, as `msgfmt` does."""
    catalogue = _catalogue(code)
    said = set(messages())
    known = {key: forms for key, forms in _texts(catalogue).items() if key in said}
    return _compiled(_header(code, catalogue), known)


def problems(code: str) -> list[str]:
    """Return what is missing or wrong in a language's catalogue."""
    catalogue = _catalogue(code)
    texts = _texts(catalogue)
    return [f"{text[0]!r}: {wrong}" for text in messages() for wrong in _wrong(text, texts.get(text, ()), catalogue)]


def write(folder: Path, code: str, translate: Callable[[str], str]) -> None:
    """Compile a catalogue of a made-up language with two forms of plural."""
    header = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=n != 1;\n"
    target = folder / code / "LC_MESSAGES" / "bot.mo"
    target.parent.mkdir(parents=True)
    target.write_bytes(_compiled(header, {message: tuple(map(translate, message)) for message in messages()}))


def _marked(tree: ast.AST) -> Iterator[Message]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _KEYWORDS:
            texts = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            if len(texts) >= _KEYWORDS[node.func.id]:
                yield tuple(map(str, texts))


def _catalogue(code: str) -> Catalog:
    """Return the catalogue of a language, empty if it does not exist yet."""
    if not path(code, "po").is_file():
        return Catalog(code)
    with path(code, "po").open("rb") as file:
        return read_po(file, code, abort_invalid=True)


def _texts(catalogue: Catalog) -> Texts:
    """Return what is translated in every form."""
    forms = {
        _key(each.id): tuple(each.string) if isinstance(each.string, (list, tuple)) else (each.string,)
        for each in catalogue
        if each.id and each.string and not each.fuzzy
    }
    return {key: found for key, found in forms.items() if all(found)}


def _key(identity: str | Iterable[str]) -> Message:
    return (identity,) if isinstance(identity, str) else tuple(identity)


def _wrong(message: Message, forms: tuple[str, ...], catalogue: Catalog) -> Iterator[str]:
    expected = catalogue.num_plurals if len(message) > 1 else 1
    if len(forms) != expected:
        yield f"{len(forms)} of {expected} forms are translated"
        return
    values = set(_VALUE.findall(message[-1]))
    for number, form in enumerate(forms):
        found = set(_VALUE.findall(form))
        # "A minute" needs no number where the form is for that number alone.
        spared = {"{number}", "{days}"} if len(message) > 1 and _is_for_one(number, catalogue) else set()
        if found - values or values - found - spared:
            yield f"{form!r} has {', '.join(sorted(found)) or 'no values'}"
        if len(form) > (BUTTON_LENGTH if _BUTTON.fullmatch(message[0]) and len(message) == 1 else _TEXT_LENGTH):
            yield f"{form!r} is too long"


def _is_for_one(form: int, catalogue: Catalog) -> bool:
    """Return whether a form of plural serves one number, or none that ever occurs."""
    rule: Callable[[int], int] = gettext.c2py(catalogue.plural_expr)
    return sum(rule(number) == form for number in range(1, 200)) <= 1


def _header(code: str = "", catalogue: Catalog | None = None) -> str:
    lines = ["Content-Type: text/plain; charset=UTF-8"]
    if catalogue:
        lines += [f"Language: {code}", f"Plural-Forms: {catalogue.plural_forms}"]
    return "".join(f"{line}\n" for line in lines)


def _document(header: str, *parts: tuple[str, Texts]) -> str:
    """Return a catalogue as a text; each part has a comment, and texts."""
    head = "".join(f"{_quoted(line)}\n" for line in header.splitlines(keepends=True))
    entries = "".join(
        f"\n{comment}{_entry(message, forms)}\n" for comment, texts in parts for message, forms in texts.items()
    )
    return f'msgid ""\nmsgstr ""\n{head}{entries}'


def _entry(message: Message, forms: tuple[str, ...]) -> str:
    if len(message) == 1:
        return f"msgid {_quoted(message[0])}\nmsgstr {_quoted(forms[0])}"
    translated = [f"msgstr[{number}] {_quoted(form)}" for number, form in enumerate(forms)]
    return "\n".join([f"msgid {_quoted(message[0])}", f"msgid_plural {_quoted(message[1])}", *translated])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _compiled(header: str, texts: Texts) -> bytes:
    """Return a .mo file: two tables of lengths and offsets, in the order of the keys, then the texts."""
    all_ = {"": header} | {"\0".join(message): "\0".join(forms) for message, forms in texts.items()}
    keys = [key.encode() for key in sorted(all_)]
    values = [all_[key].encode() for key in sorted(all_)]
    start = 28 + 16 * len(keys)
    places, data = [], b""
    for text in keys + values:
        places.append(struct.pack("<II", len(text), start + len(data)))
        data += text + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(keys), 28, 28 + 8 * len(keys), 0, 0)
    return head + b"".join(places) + data


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in update())
