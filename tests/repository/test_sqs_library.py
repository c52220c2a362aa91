"""botsite/sqs is a library: folder and distribution run where nothing but Celery and boto3 is installed."""

import ast
import dataclasses
import io
import json
import logging
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from botsite import logs
from botsite.sqs import Options
from botsite.sqs.tests.support.worker import Aws, running_emulator, taken_for_aws
from deploy.local.processes import PATIENCE_SECONDS
from tests.support import emulators, venvs
from tests.support.processes import wait_until

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "botsite" / "sqs"
# Not the name it has here.
NAME = "carrier"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of an environment that has only what the library needs, and that is not pycurl."""
    return venvs.make(tmp_path_factory.mktemp("venv"), ["celery", "kombu", "boto3"])


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, unpack it, and install it into an environment that has its test extra; return that."""
    built, venv = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("installed")
    source = shutil.copytree(LIBRARY, built / "source", ignore=shutil.ignore_patterns("__pycache__"))
    build = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(built)], cwd=source, check=True, stdout=subprocess.DEVNULL)
    (archive,) = built.glob("celery_on_sqs-*.tar.gz")
    shutil.unpack_archive(archive, built, filter="data")
    unpacked = built / archive.name.removesuffix(".tar.gz")
    extra = ["opentelemetry-instrumentation-celery", "opentelemetry-sdk"]
    python = venvs.make(venv, ["celery", "kombu", "boto3", "pytest", "hypothesis", "ministack", "microburst", *extra])
    (packages,) = venv.glob("lib/*/site-packages")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(packages), str(unpacked)], check=True)
    return python


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that holds a copy of the library and nothing else."""
    shutil.copytree(LIBRARY, tmp_path / NAME, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    return tmp_path


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with running_emulator() as url, taken_for_aws(url, tmp_path_factory.mktemp("aws")) as aws:
        yield aws


@contextmanager
def running(command: list[str], folder: Path, env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run a command in a folder, with no other variables than these."""
    with subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as one:
        try:
            yield one
        finally:
            one.kill()


@pytest.mark.slow
def test_folder_alone_runs_its_example(aws: Aws, python: Path, folder: Path) -> None:
    queue_url = aws.queue()
    env = {"AWS_ENDPOINT_URL": aws.url, "QUEUE_URL": queue_url, **emulators.keys()}
    command = [str(python), "-m", "celery", "-A", f"{NAME}.example", "worker"]
    with running(command, folder, env) as process:
        subprocess.run([python, "-m", f"{NAME}.example"], cwd=folder, env=env, check=True, timeout=PATIENCE_SECONDS)
        wait_until(lambda: (folder / "words").exists() or process.poll() is not None)
        assert process.poll() is None, process.communicate()[0]
        assert (folder / "words").read_text() == "hello\n"
        wait_until((folder / "alive").exists)
        wait_until(lambda: not aws.depth(queue_url))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert not (folder / "alive").exists()


@pytest.mark.slow
def test_sdist_runs_its_tests_where_nothing_else_is_installed(installed: Path, tmp_path: Path) -> None:
    command = [str(installed), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "celery_on_sqs.tests"]
    command += ["-m", "not slow or smoke"]
    done = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b\d{2,} passed", done.stdout)


MOVED = """
from celery import Celery
import celery_on_sqs
app = Celery("moved", broker="sqs://")
queues = {{name: {{"url": "{url}"}} for name in ("first",)}}
app.conf.broker_transport_options = {{"region": "us-east-1", "predefined_queues": queues, "visibility_timeout": 60}}
app.conf.task_default_queue = "first"
celery_on_sqs.install(app)
"""


@pytest.mark.slow
def test_celery_has_its_commands_where_it_is_installed(aws: Aws, installed: Path, tmp_path: Path) -> None:
    (tmp_path / "moved.py").write_text(MOVED.format(url=aws.queue()))
    command = [str(installed), "-m", "celery", "-A", "moved", "sqs", "status"]
    env = {"AWS_ENDPOINT_URL": aws.url, **emulators.keys()}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    said = "first: waiting 0, in work or to be tried again 0, for later 0, dead letters no queue for them\n"
    assert done.stdout == said, done.stderr


@pytest.mark.slow
def test_example_environment_is_empty(python: Path, folder: Path) -> None:
    names = ("django", "structlog", "botsite", "pip", "pycurl")
    code = f"import importlib.util as u; print([n for n in {names} if u.find_spec(n)])"
    assert subprocess.run([python, "-c", code], cwd=folder, stdout=subprocess.PIPE, check=True).stdout == b"[]\n"


@pytest.mark.slow
def test_pools_that_block_the_loop_are_refused(python: Path, folder: Path) -> None:
    (folder / "app.py").write_text(f"from {NAME}.example import app\n")
    command = [str(python), "-m", "celery", "-A", "app", "worker", "--pool", "solo"]
    with running(command, folder, {"QUEUE_URL": "http://localhost/1/nowhere"}) as process:
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert "not with solo: a task would hold up the event loop" in output
    assert "Take threads, with a concurrency of 1" in output
    assert "Traceback" not in output


def test_import_adds_no_other_modules() -> None:
    # kombu by itself imports a little of Django where that is installed.
    code = (
        "import sys, celery, kombu.transport.SQS; old = {*sys.modules}; import botsite.sqs; print({*sys.modules} - old)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    added: set[str] = ast.literal_eval(done.stdout)
    ours = {name for name in added if name.partition(".")[0] in {"botsite", "detection", "metrics", "deploy"}}
    assert {name for name in ours if not name.startswith("botsite.sqs")} == {"botsite"}
    assert {name for name in added if name.partition(".")[0] in {"django", "structlog"}} == set()


def test_log_lines_look_like_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(logs.formatter())
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    with structlog.contextvars.bound_contextvars(prediction_id="p1"):
        logging.getLogger("botsite.sqs.receiving").warning("receiving_paused", extra={"seconds": 5.0, "error": "why"})
        structlog.get_logger("detection").warning("receiving_paused", seconds=5.0, error="why")
    events = [json.loads(line) for line in lines.getvalue().splitlines()]
    for event in events:
        del event["time"]
    fields = {"prediction_id": "p1", "seconds": 5.0, "error": "why"}
    assert events == [{"level": "warning", "event": "receiving_paused", **fields}] * 2


def test_fields_avoid_reserved_names_of_logging() -> None:
    reserved = {*vars(logging.makeLogRecord({})), "message", "asctime"}
    for file in LIBRARY.glob("*.py"):
        fields = set(re.findall(r'extra=.*?"(\w+)":', file.read_text()))
        assert fields & reserved == set(), file


def test_readme_lists_every_option() -> None:
    """Each with its default and its reason, as the code has them."""
    field = r"((?:    # .+\n)+)    (\w+): .+? = (.+)\n"
    found = re.findall(field, (LIBRARY / "options.py").read_text())
    rows = [
        f"| `{name}` | `{default.replace('field(default_factory=dict)', '{}')}` | {' '.join(why.split('# ')[1:])} |"
        for why, name, default in found
    ]
    assert [name for _, name, _ in found] == [field.name for field in dataclasses.fields(Options)]
    chapter = (LIBRARY / "README.md").read_text().partition("\n## Options\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `\w+` \| `.+", chapter, re.M) == [re.sub(r"\s+", " ", row) for row in rows]


def test_named_tests_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", (LIBRARY / "README.md").read_text()))
    defined = {
        name
        for folder in (ROOT / "tests", LIBRARY / "tests")
        for file in folder.rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", file.read_text())
    }
    assert named
    assert named - defined == set()
