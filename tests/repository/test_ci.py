"""What runs elsewhere on this code is pinned by commit and may do no more than it needs."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / ".github" / "workflows").glob("*.yml")}


def test_actions_are_pinned_by_commit() -> None:
    used = [line for text in WORKFLOWS.values() for line in re.findall(r"uses: (.+)", text)]
    assert [line for line in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line)] == []
    assert used


def test_workflows_have_only_permissions_of_their_jobs() -> None:
    assert [name for name, text in WORKFLOWS.items() if yaml.safe_load(text)["permissions"] != {}] == []


def test_hooks_of_others_are_pinned_by_commit() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    revisions = [one["rev"] for one in hooks if one["repo"] != "local"]
    assert [one for one in revisions if not re.fullmatch(r"[0-9a-f]{40}", one)] == []
    assert revisions


def test_celery_and_kombu_are_raised_together() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))["updates"]
    groups = next(one for one in updates if one["package-ecosystem"] == "pip")["groups"]
    both = [name for name, group in groups.items() if {"celery", "kombu"} <= set(group["patterns"])]
    assert both == ["celery-and-kombu"]
