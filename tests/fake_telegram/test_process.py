"""The fake Telegram's process needs a token, stops when told to, and imports nothing of ours."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from deploy.local.processes import PATIENCE_SECONDS
from deploy.local.telegram import faults
from deploy.local.telegram.methods import METHODS
from tests.fake_telegram.service import ROOT, TLS, start_server

pytestmark = pytest.mark.slow

OURS = ("botsite", "deploy", "detection", "metrics")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_server_with_open_streams(number: signal.Signals) -> None:
    process, line = start_server()
    url = line.split()[-1]
    assert line == f"fake Telegram listens on {url}"
    with process:
        with httpx.stream("GET", f"{url}/chats/1/events", verify=TLS) as stream:
            assert stream.status_code == 200
            process.send_signal(number)
            assert process.wait(PATIENCE_SECONDS) == 0
        assert process.stderr
        assert process.stderr.read() == ""


def test_server_does_not_start_without_token() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TELEGRAM_TOKEN"}
    command = [sys.executable, "-m", "deploy.local.telegram", "--port", "0"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "TELEGRAM_TOKEN is not set" in ended.stderr


@pytest.mark.smoke
def test_fake_telegram_imports_nothing_of_ours() -> None:
    code = "import sys, deploy.local.telegram.__main__, deploy.local.telegram.client; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    ours = [name for name in done.stdout.split() if name.partition(".")[0] in OURS]
    others = {name for name in ours if not name.startswith("deploy.local.telegram")}
    assert others == {"deploy", "deploy.local"}


def test_folder_alone_is_a_package(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "deploy" / "local" / "telegram", tmp_path / "fake_telegram", ignore=ignored)
    command = [sys.executable, "-m", "fake_telegram", "--port", "0"]
    environment = os.environ | {"TELEGRAM_TOKEN": "1:any"}
    environment.pop("PYTHONPATH", None)
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().split()[-1]
        talk = (
            "from fake_telegram.client import TelegramUser as U; import sys; print(U(sys.argv[1], 1).send_text('hi'))"
        )
        said = subprocess.run(
            [sys.executable, "-c", talk, url], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        process.terminate()
    assert (said.stdout, said.stderr, process.returncode) == ("1\n", "", 0)


@pytest.mark.smoke
def test_readme_names_every_method_and_fault() -> None:
    text = (ROOT / "deploy" / "local" / "telegram" / "README.md").read_text(encoding="utf-8")
    methods, broken = text.partition("**Methods**")[2].split("**Faults**")
    assert set(re.findall(r"`(\w+)`", methods)) == set(METHODS)
    assert {*faults.EFFECTS[faults.WEBHOOK], *faults.EFFECTS[faults.FILE], *faults.CALL_EFFECTS} <= {
        *re.findall(r"`(\w+)`", broken.partition("**Limits**")[0])
    }
