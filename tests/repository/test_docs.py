"""What the documents say is true: commands run, and the files, links and tests they name exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import get_commands

from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection.record import queries

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("deploy/*.md"))]
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
FOLDERS = "botsite|detection|metrics|deploy|tests|docs"

each_page = pytest.mark.parametrize("page", TEXTS)


def blocks(language: str) -> dict[str, str]:
    """Return the code blocks of a language in all pages: "sh" runs on the local stack, "sh aws" needs an account."""
    found = {}
    for page, text in TEXTS.items():
        for number, block in enumerate(re.findall(rf"^ *```{language}\n(.*?)^ *```$", text, re.M | re.S), 1):
            found[f"{page}:{number}"] = block
    return found


@pytest.mark.parametrize("block", blocks("sh").values(), ids=blocks("sh"))
@pytest.mark.slow
def test_commands_work_next_to_running_service(stack: LocalStack, user: TelegramUser, photo: bytes, block: str) -> None:
    environment = stack.env | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    if "$PREDICTION_ID" in block:
        user.wait_for_reply(user.send_photo(photo))
        environment["PREDICTION_ID"] = queries.latest_of_chat(user.chat_id)[0]
    # It ends with 1 for what an earlier test has done to the service.
    told = re.sub(r"^(python manage\.py status\b[^#\n]*)", r"\1 || test $? = 1 ", block, flags=re.M)
    command = ["bash", "-euo", "pipefail", "-c", told]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_some_commands_are_run() -> None:
    assert {"README.md", "deploy/README.md", "deploy/operating.md", "docs/scaling.md"} <= {
        name.partition(":")[0] for name in blocks("sh")
    }


@each_page
def test_named_commands_exist(page: str) -> None:
    named = set(re.findall(r"manage\.py (\w+)", TEXTS[page])) - {"COMMAND"}
    assert named - set(get_commands()) == set()


@each_page
def test_named_files_exist(page: str) -> None:
    named = re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", TEXTS[page])
    assert [path for path in named if not (ROOT / path).exists()] == []


@each_page
def test_linked_files_exist(page: str) -> None:
    links = re.findall(r'(?:\]\(|src=")(?!https?:|#)([^)"#]+)', TEXTS[page])
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


@each_page
def test_linked_headings_exist(page: str) -> None:
    links = re.findall(r"\]\(([\w./-]*)#([\w-]+)\)", TEXTS[page])
    pages = [(ROOT / page).parent.joinpath(target) if target else ROOT / page for target, _ in links]
    found = [(str(to.resolve().relative_to(ROOT)), anchor) for to, (_, anchor) in zip(pages, links, strict=True)]
    assert [(to, anchor) for to, anchor in found if anchor not in anchors(TEXTS[to])] == []


def test_every_promise_names_its_test() -> None:
    table = TEXTS["docs/reliability.md"].partition("| promise | tested in |\n|---|---|\n")[2].partition("\n\n")[0]
    assert [row for row in table.splitlines() if not re.search(r"`tests/\w+/test_", row)] == []
    assert table


def test_readme_is_short() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= 110


def test_readme_links_every_page() -> None:
    assert [page for page in TEXTS if page != "README.md" and f"({page})" not in TEXTS["README.md"]] == []


def anchors(text: str) -> set[str]:
    """Return what GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
