"""The bot's texts as gettext knows them: found in the code, and written as a template or as a catalogue of a language.

`python -m tests.support.catalogues` writes the template for translators, without any tool of gettext.
"""

import ast
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from botsite.bot import classes, language
from detection import sentences

TEMPLATE = language.LOCALES / "bot.pot"
# Which arguments of these functions are texts.
_KEYWORDS = {"noop": 1, "gettext": 1, "ngettext": 2}
_HEADER = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n'
Message = tuple[str, ...]


def messages() -> list[Message]:
    """Return each text of the bot, with its plural if it has one."""
    files = [*sorted(Path(language.__file__).parent.glob("*.py")), Path(sentences.__file__)]
    found = [message for file in files for message in _marked(ast.parse(file.read_text()))]
    names = [(classes.singular(label), classes.plural(label)) for label in classes.PLURALS]
    return [*dict.fromkeys(found), *names, *((classes.one(label),) for label in classes.PLURALS)]


def template() -> str:
    """Return the template that translators begin with."""
    return _HEADER + "".join(f"\n{_entry(message)}\n" for message in messages())


def write(folder: Path, code: str, translate: Callable[[str], str]) -> None:
    """Compile a catalogue of a made-up language with two forms of plural, as `msgfmt` would."""
    texts = {"": "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=n != 1;\n"}
    texts |= {"\0".join(message): "\0".join(map(translate, message)) for message in messages()}
    target = folder / code / "LC_MESSAGES" / "bot.mo"
    target.parent.mkdir(parents=True)
    target.write_bytes(_compiled(texts))


def _marked(tree: ast.AST) -> Iterator[Message]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _KEYWORDS:
            texts = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            if len(texts) >= _KEYWORDS[node.func.id]:
                yield tuple(map(str, texts))


def _entry(message: Message) -> str:
    keys = [f"msgid {json.dumps(message[0], ensure_ascii=False)}"]
    if len(message) == 1:
        return "\n".join([*keys, 'msgstr ""'])
    keys.append(f"msgid_plural {json.dumps(message[1], ensure_ascii=False)}")
    return "\n".join([*keys, 'msgstr[0] ""', 'msgstr[1] ""'])


def _compiled(texts: dict[str, str]) -> bytes:
    """Return a .mo file: two tables of lengths and offsets, in the order of the keys, then the texts."""
    keys = [key.encode() for key in sorted(texts)]
    values = [texts[key].encode() for key in sorted(texts)]
    start = 28 + 16 * len(keys)
    places, data = [], b""
    for text in keys + values:
        places.append(struct.pack("<II", len(text), start + len(data)))
        data += text + b"\0"
    header = struct.pack("<7I", 0x950412DE, 0, len(keys), 28, 28 + 8 * len(keys), 0, 0)
    return header + b"".join(places) + data


if __name__ == "__main__":
    TEMPLATE.write_text(template())
