"""What `make audit` examines and how it judges; the tools themselves are too large for every run of the tests."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.cfn import template
from deploy.stacks import TEMPLATES, order
from tests.audit import exceptions
from tests.audit.exceptions import EXCEPTIONS, Allowed, Finding

ROOT = Path(__file__).parents[2]
STAR = Finding("deployer", "RESOURCE_STAR", "ec2:RunInstances")
ALLOWED = Allowed("deployer", "RESOURCE_STAR", "ec2:Run* ec2:CreateImage", "there is none before")


def test_finding_without_reason_is_reported() -> None:
    other = Finding("deployer", "RESOURCE_STAR", "iam:CreateUser")
    assert exceptions.judge([STAR, other], [ALLOWED]) == ["deployer: RESOURCE_STAR iam:CreateUser"]
    assert exceptions.judge([STAR], [ALLOWED]) == []


@pytest.mark.parametrize("found", [Finding("other", STAR.kind, STAR.action), Finding(STAR.policy, "X", STAR.action)])
def test_exception_is_for_one_policy_and_kind(found: Finding) -> None:
    assert str(found) in exceptions.judge([found], [ALLOWED])


def test_exception_without_finding_is_reported() -> None:
    [line] = exceptions.judge([], [ALLOWED])
    assert line.endswith("remove the exception")


def test_every_exception_has_a_reason() -> None:
    assert [one for one in EXCEPTIONS if len(one.reason) < 20] == []


@pytest.mark.slow
def test_every_policy_is_examined_resolved() -> None:
    env = {"PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "tests.audit.documents"]
    said = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout
    assert "Fn::" not in said
    assert "${" not in said
    found = json.loads(said)
    files = {path.stem for path in (ROOT / "deploy" / "policies").rglob("*.json")}
    assert files <= found.keys()
    texts = [template.read(TEMPLATES / f"{part}.yaml") for part in order()]
    texts.append(template.read(ROOT / "deploy" / "github" / "roles.yaml"))
    resources = [(name, one) for text in texts for name, one in text.all_resources.items()]
    with_policy = [
        name for name, one in resources if one["Type"] == "AWS::IAM::ManagedPolicy" or "Policies" in one["Properties"]
    ]
    assert len(found) == len(files) + len(with_policy)
