"""Secret settings come from Secrets Manager, and stay out of environments, errors and logs."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from botsite import aws, logs
from tests.support import emulators, forked

ROOT = Path(__file__).parents[2]
KEY = "a-results-key-that-nobody-knows"
_numbers = count(1)
# An account id in an ARN or a registry address, an access key, a bot token, a mail address.
SOMEBODYS = re.compile(
    r"(?<=:)(?!(\d)\1{11}|123456789012)\d{12}(?=:)|(?!(\d)\2{11})\d{12}(?=\.dkr)|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\b\d{8,10}:(?![xA]+\b)[\w-]{35}\b|\b[\w.+-]+@(?!example\.|localhost)[\w-]+\.(?:com|org|net|io|de)\b"
)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An emulated AWS for this module only."""
    with emulators.ministack() as url:
        yield url


def stored(text: str) -> str:
    """Put a secret into Secrets Manager and return its name."""
    name = f"test/secret-{next(_numbers)}"
    aws.client("secretsmanager").create_secret(Name=name, SecretString=text)
    return name


def run(endpoint: str, code: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run code after loading Django's settings, in a process with this environment."""
    keys = {**emulators.keys(), "AWS_ENDPOINT_URL": endpoint}
    base = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "botsite.settings", "LOG_FORMAT": "json"}
    setup = "import django; django.setup(); from django.conf import settings"
    return forked.execute(f"{setup}; {code}", ROOT, base | keys | env)


def test_secret_becomes_setting_but_not_environment_variable(endpoint: str) -> None:
    ids = [stored(json.dumps({"RESULTS_KEY": KEY})), stored(json.dumps({"DJANGO_SECRET_KEY": "d" * 40}))]
    code = "import os; print(settings.RESULTS_KEY, settings.SECRET_KEY, 'RESULTS_KEY' in os.environ)"
    ended = run(endpoint, code, SERVICE_SECRETS=",".join(ids))
    assert ended.stdout.split() == [KEY, "d" * 40, "False"]


def test_environment_takes_precedence(endpoint: str) -> None:
    name = stored(json.dumps({"RESULTS_KEY": KEY}))
    ended = run(endpoint, "print(settings.RESULTS_KEY)", SERVICE_SECRETS=name, RESULTS_KEY="mine")
    assert ended.stdout == "mine\n"


def test_role_finds_its_secret_settings(endpoint: str) -> None:
    name = stored(json.dumps({"RESULTS_KEY": KEY}))
    given = dict.fromkeys(("JOBS_QUEUE_URL", "IMAGES_BUCKET", "PREDICTIONS_TABLE", "POLYBOT_URL"), "x")
    code = "from botsite.settings import require; require('yolo5')"
    assert run(endpoint, code, **given, SERVICE_SECRETS=name).returncode == 0
    assert "without RESULTS_KEY" in run(endpoint, code, **given).stderr


def test_missing_secret_is_named_with_advice(endpoint: str) -> None:
    ended = run(endpoint, "", SERVICE_SECRETS="test/nothing")
    last = ended.stderr.splitlines()[-1]
    assert ended.returncode == 1
    assert "SERVICE_SECRETS names test/nothing, which can't be read" in last
    assert "manage.py provision" in last


@pytest.mark.parametrize("text", [KEY, f'["{KEY}"]', f'{{"RESULTS_KEY": ["{KEY}"]}}', f'{{"{KEY}'])
def test_malformed_secret_is_rejected_and_not_shown(endpoint: str, text: str) -> None:
    name = stored(text)
    ended = run(endpoint, "", SERVICE_SECRETS=name)
    assert ended.returncode == 1
    assert f"SERVICE_SECRETS names {name}, which must be a JSON object" in ended.stderr
    assert KEY not in ended.stderr + ended.stdout


def test_no_log_line_shows_a_secret(endpoint: str) -> None:
    name = stored(json.dumps({"RESULTS_KEY": KEY}))
    code = "import logging; logging.getLogger('some.library').error('signed with %s', settings.RESULTS_KEY)"
    ended = run(endpoint, code, SERVICE_SECRETS=name)
    assert "signed with <hidden>" in ended.stderr
    assert KEY not in ended.stderr


FORKS = """
import os
from botsite import secret_store
client = secret_store._client("us-east-1", "")
child = os.fork()
if not child:
    os._exit(secret_store._client("us-east-1", "") is client)
print(os.waitpid(child, 0)[1], secret_store._client("us-east-1", "") is client)
"""


def test_forked_process_has_its_own_connections(endpoint: str) -> None:
    """gunicorn forks its workers from the process that read the settings."""
    assert run(endpoint, FORKS).stdout == "0 True\n"


def test_repository_contains_no_account_key_token_or_address() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = []
    for name in listed.splitlines():
        text = (ROOT / name).read_text(encoding="utf-8", errors="ignore")
        found += [(name, one[0]) for one in SOMEBODYS.finditer(text)]
    assert found == []


def test_short_secrets_are_not_redacted() -> None:
    logs.hide("job")
    assert logs.redact("job_sent") == "job_sent"
