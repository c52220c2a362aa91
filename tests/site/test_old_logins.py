"""A site opens a database of logins left by an earlier release: permissions and history still work."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import forked

ROOT = Path(__file__).resolve().parents[2]
LOGINS = ROOT / "tests" / "fixtures" / "logins-0.1.0.sql"
LOOK = """
import json
import django
django.setup()
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from botsite import urls
from detection.models import Job
ada, entry = User.objects.get(), LogEntry.objects.get()
client = Client()
client.force_login(ada)
index = client.get("/admin/", secure=True, headers={"host": "localhost"})["Location"]
print(json.dumps({
    "group": [group.name for group in ada.groups.all()],
    "permissions": sorted(ada.get_all_permissions()),
    "content_types": ContentType.objects.filter(app_label="detection").count(),
    "entry": [entry.content_type.model_class() is Job, entry.get_admin_url(), entry.get_change_message()],
    "index": index,
}))
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a process on the earlier release's database."""
    file = tmp_path / "logins.sqlite3"
    with closing(sqlite3.connect(file)) as database:
        database.executescript(LOGINS.read_text())
    settings = {"DJANGO_SETTINGS_MODULE": "botsite.settings", "DATABASE_URL": f"sqlite:///{file}"}
    return {"PATH": os.environ["PATH"], **settings}


def output(ended: forked.Completed) -> str:
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_no_migration_is_missing(env: dict[str, str]) -> None:
    assert "No changes detected" in output(forked.manage(["makemigrations", "--check", "--dry-run"], ROOT, env))


def test_permissions_content_type_and_history_survive(env: dict[str, str]) -> None:
    output(forked.manage(["migrate"], ROOT, env))
    assert json.loads(output(forked.execute(LOOK, ROOT, env))) == {
        "group": ["operators"],
        "permissions": ["detection.view_job"],
        "content_types": 1,
        "entry": [True, "/admin/detection/job/p1/change/", "Retried."],
        "index": "/ops/",
    }
