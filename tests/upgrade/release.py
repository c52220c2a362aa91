"""The previous release: its files, and what it deploys."""

import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from deploy.cfn import template

# A tag or a commit; to be raised with every release.
PREVIOUS = "10b93af"
_DEPLOY = """
import json, os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "botsite.settings"
import django
django.setup()
from deploy import provision
from deploy.service import Service
service = Service(sys.argv[1])
provision.deploy(service, json.loads(sys.argv[2]))
print(json.dumps(service.environment()))
"""


def check_out(revision: str, folder: Path) -> None:
    """Lay out the files of a release in a new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    packed = subprocess.run(["git", "archive", revision], cwd=settings.BASE_DIR, check=True, stdout=subprocess.PIPE)
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")


def deploy(folder: Path, prefix: str, values: Mapping[str, str], env: Mapping[str, str]) -> dict[str, str]:
    """Have the release in that folder deploy its templates; return what its roles need to know of the stacks."""
    command = [sys.executable, "-c", _DEPLOY, prefix, json.dumps(dict(values))]
    done = subprocess.run(command, cwd=folder, env=dict(env), check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def index_changes(folder: Path) -> list[str]:
    """Return which indexes this release creates and which it deletes; one whose definition changed is both.

    DynamoDB takes one of these in an update of a table, and the emulator any number.
    """
    before, after = (_indexes(top) for top in (folder, settings.BASE_DIR))
    created = [f"+{name}" for name, index in after.items() if before.get(name) != index]
    return created + [f"-{name}" for name, index in before.items() if after.get(name) != index]


def _indexes(top: Path) -> dict[str, Any]:
    resources = template.read(top / "deploy" / "cloudformation" / "storage.yaml").all_resources
    return {one["IndexName"]: one for one in resources["PredictionsTable"]["Properties"]["GlobalSecondaryIndexes"]}
