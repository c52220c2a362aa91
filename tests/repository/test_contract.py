"""Names that people's scripts, queued jobs and other programs hold on to stay as they are."""

import argparse
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import get_commands, load_command_class
from django.db.migrations.loader import MigrationLoader
from django.urls import resolve, reverse
from kombu.transport import resolve_transport

from botsite import sqs
from botsite.celery import app

ROOT = Path(__file__).parents[2]
WITHOUT_PREFIX = {"demo", "simulate_scaling", "export_weights", "poll", "version"}
# Each command with those of its options that scripts give.
COMMANDS = {
    "acceptance": "--local --report --keep --no-bot --token-fd --chat-ids --yes",
    "audit": "--since --logs --json",
    "bake_ami": "--image --weights --weights-sha256",
    "cost": "--billed --json",
    "demo": "--once --warm-machines",
    "dlq": "--json",
    "doctor": "--only --json --drift",
    "exec": "--host",
    "export_weights": "--weights --sha256 --calibration",
    "loadtest": "",
    "logs": "--since --level --prediction --json",
    "pause": "",
    "poll": "",
    "provision": "--plan --check --domain --hosted-zone-id --self-signed --parameter --monthly-budget --token-fd "
    "--weights",
    "restart": "--wait --yes",
    "events": "--since --json",
    "resume": "",
    "rollback": "--to --list --wait --yes",
    "rotate": "",
    "scale": "--min --for --off",
    "set_webhook": "--remove --again",
    "simulate_scaling": "--json --shape --rate --photos --trace --seed --latency --keep-warm --warm-pool --max "
    "--boot-seconds --sends-per-second --policy",
    "stack_env": "",
    "status": "--watch --json",
    "teardown": "--plan --yes",
    "trace": "--json",
    "version": "",
}  # fmt: skip


def options(name: str) -> set[str]:
    """Return all options of a command, its actions' included."""
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    actions = [*parser._actions]
    found: set[str] = set()
    while actions:
        action = actions.pop()
        found.update(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            actions += [one for child in action.choices.values() for one in child._actions]
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_its_options(name: str) -> None:
    expected = {*COMMANDS[name].split()} | (set() if name in WITHOUT_PREFIX else {"--prefix"})
    assert expected - options(name) == set()


def test_every_command_is_listed_here() -> None:
    ours = {name for name, where in get_commands().items() if where == "deploy.management" or where == "deploy"}
    assert ours == set(COMMANDS)


def test_tasks_have_names_that_queued_jobs_carry() -> None:
    app.loader.import_default_modules()
    assert {"detection.detect", "upkeep.sweep", "upkeep.bury", "metrics.publish"} <= set(app.tasks)


def test_transport_is_found_by_its_name() -> None:
    assert resolve_transport("botsite.sqs:Transport") is sqs.Transport
    assert app.connection_for_write().transport_cls == "botsite.sqs:Transport"


def test_label_and_migrations_of_detection_stay() -> None:
    assert {model._meta.label for model in apps.get_app_config("detection").get_models()} == {"detection.Job"}
    assert ("detection", "0001_initial") in MigrationLoader(None).disk_migrations


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("admin:detection_job_changelist", "/admin/detection/job/"),
        ("admin:login", "/admin/login/"),
    ],
)
def test_addresses_of_the_admin_stay(name: str, path: str) -> None:
    assert reverse(name) == path


@pytest.mark.parametrize("path", ["/telegram/webhook", "/results", "/ops/"])
def test_addresses_stay(path: str) -> None:
    assert resolve(path)


@pytest.mark.parametrize("module", ["tests.bench", "tests.chaos", "tests.upgrade", "botsite.asgi"])
def test_modules_that_are_started_by_name_stay(module: str) -> None:
    assert find_spec(module if module.startswith("botsite") else f"{module}.__main__")


def test_gunicorn_finds_its_settings() -> None:
    assert (ROOT / "deploy" / "gunicorn.conf.py").is_file()
