"""Settings come from the environment, are all documented, and fail loudly when missing."""

import os
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from botsite import roles
from tests.support import forked
from tests.support.cases import slow_after

ROOT = Path(__file__).resolve().parents[2]
ROLES = {
    "polybot": "import botsite.asgi",
    "yolo5": "from botsite import settings; settings.require('yolo5')",
    "metricStreamer": "from botsite import settings; settings.require('metricStreamer')",
}


def _run(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    bare = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "botsite.settings"}
    return forked.execute(code, ROOT, bare | env)


def test_env_example_matches_settings() -> None:
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z0-9_]+)"', (ROOT / "botsite" / "settings.py").read_text()))
    lines = (ROOT / ".env.example").read_text().splitlines()
    listed = [line.partition("=")[0] for line in lines if line and not line.startswith("#")]
    assert sorted(listed) == sorted(read)


def test_env_example_explains_each_setting() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    bare = [line for before, line in pairwise(lines) if "=" in line and not before.startswith("# ")]
    assert bare == []


@pytest.mark.parametrize("role", ROLES)
def test_role_names_all_missing_settings_at_once(role: str) -> None:
    ended = _run(ROLES[role])
    assert ended.returncode != 0
    assert [name for name in roles.named(role).needs if name not in ended.stderr] == []


def test_site_does_not_start_with_empty_webhook_secret() -> None:
    env = dict.fromkeys(roles.POLYBOT.needs, "x") | {"TELEGRAM_TOKEN": "1:x", "TELEGRAM_WEBHOOK_SECRET": ""}
    ended = _run("import botsite.asgi", **env)
    assert "TELEGRAM_WEBHOOK_SECRET" in ended.stderr
    assert "RESULTS_KEY" not in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize(("text", "said"), [("1e3", "1000.0"), ("ten", "BACKLOG_TARGET is 'ten'")])
def test_target_must_be_a_number(text: str, said: str) -> None:
    ended = _run("from botsite import settings; print(settings.BACKLOG_TARGET)", BACKLOG_TARGET=text)
    assert said in ended.stdout + ended.stderr


@pytest.mark.parametrize("text", slow_after(2, ["-1", "1.5", "ten", "1e3", "9999999", "１０"]))
def test_limit_must_be_a_whole_number(text: str) -> None:
    assert f"PHOTOS_PER_DAY is {text!r}" in _run("from botsite import settings", PHOTOS_PER_DAY=text).stderr


@pytest.mark.parametrize(("text", "most"), slow_after(2, [("50", "50"), (" ", "None"), ("0", "None"), ("", "None")]))
def test_unset_limit_is_none(text: str, most: str) -> None:
    ended = _run("from botsite import settings; print(settings.PHOTOS_PER_DAY)", PHOTOS_PER_DAY=text)
    assert ended.stdout.strip() == most


@pytest.mark.parametrize(
    "text", slow_after(3, ["ada", "@ad", "@1ada", "7 8", "7;8", "@ada_l @bob_b", ",", "@ada-l", "1e3", "*"])
)
def test_invalid_list_of_people_is_rejected(text: str) -> None:
    ended = _run("from botsite import settings", ALLOWED_USERS=text)
    assert ended.returncode != 0
    assert "ALLOWED_USERS" in ended.stderr.splitlines()[-1]


def test_list_of_people_has_ids_and_names() -> None:
    code = "from botsite import settings; print(sorted(settings.DENIED_USERS))"
    ended = _run(code, DENIED_USERS=" @Ada_L, 007,-1001,, @ada_l ")
    assert ended.stdout.strip() == "['-1001', '7', 'ada_l']"
