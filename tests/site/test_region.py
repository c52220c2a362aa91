"""The region is AWS_REGION, else that of boto3's chain; without one, commands say what to do and nothing is guessed."""

import os
from pathlib import Path

import pytest

from tests.support import forked
from tests.support.cases import slow_after

ROOT = Path(__file__).resolve().parents[2]
SHOW = "from botsite import settings; print(repr(settings.AWS_REGION))"


def bare(**env: str) -> dict[str, str]:
    """Return an environment with nothing in it but this."""
    least = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "DEMO_FOLDER": os.devnull}
    least |= {"DJANGO_SETTINGS_MODULE": "botsite.settings", "AWS_EC2_METADATA_DISABLED": "true"}
    return least | env


@pytest.fixture
def profiles(tmp_path: Path) -> str:
    """A file of profiles, as `aws configure` writes it."""
    path = tmp_path / "config"
    path.write_text("[default]\nregion = eu-west-3\n[profile work]\nregion = sa-east-1\n")
    return str(path)


@pytest.mark.parametrize(
    ("env", "region"),
    [
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2", "AWS_PROFILE": "work"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2", "AWS_PROFILE": "work"}, "eu-west-2"),
        ({"AWS_PROFILE": "work"}, "sa-east-1"),
        ({}, "eu-west-3"),
        # It is the first call of AWS that names the profile.
        ({"AWS_PROFILE": "nobody"}, ""),
        # An emulator has every region.
        ({"AWS_PROFILE": "nobody", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "us-east-1"),
    ],
)
def test_environment_names_region_before_profile(profiles: str, env: dict[str, str], region: str) -> None:
    assert forked.execute(SHOW, ROOT, bare(AWS_CONFIG_FILE=profiles, **env)).stdout == f"{region!r}\n"


def test_no_region_is_guessed() -> None:
    assert forked.execute(SHOW, ROOT, bare()).stdout == "''\n"


@pytest.mark.parametrize("command", slow_after(1, ["provision", "doctor", "teardown", "stack_env"]))
def test_missing_region_is_one_line_of_advice(command: str) -> None:
    ended = forked.manage([command], ROOT, bare())
    assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (1, "", 1), ended.stderr
    assert "Choose a region" in ended.stderr


def test_unknown_profile_is_named(profiles: str) -> None:
    env = bare(AWS_CONFIG_FILE=profiles, AWS_PROFILE="nobody")
    ended = forked.manage(["doctor", "--only", "zones"], ROOT, env)
    assert "The config profile (nobody) could not be found" in ended.stderr


def test_process_without_region_does_not_start() -> None:
    ended = forked.execute("from botsite import settings; settings.require('yolo5')", ROOT, bare())
    assert "AWS_REGION" in ended.stderr.splitlines()[-1]
