"""Run a command in a fork of a process that has imported the packages already, and of ours what reads no setting.

Starting Python and importing them is most of what a command takes. The fork server of `multiprocessing` has one
thread, so that nothing is lost by forking it. How a command starts and how it takes signals has to be tried on
processes of its own.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path

Completed = subprocess.CompletedProcess[str]


def manage(arguments: Sequence[str], folder: Path, env: Mapping[str, str]) -> Completed:
    """Run `manage.py` of a folder to its end, in this environment."""
    return _run(_manage, arguments, folder, env)


def execute(code: str, folder: Path, env: Mapping[str, str]) -> Completed:
    """Run code to its end as `python -c` does, in this environment."""
    return _run(_execute, [code], folder, env)


def _run(
    work: Callable[[list[str]], None], arguments: Sequence[str], folder: Path, env: Mapping[str, str]
) -> Completed:
    with tempfile.TemporaryDirectory() as place:
        output, errors = Path(place, "output"), Path(place, "errors")
        process = _server().Process(target=_fork, args=(work, [*arguments], folder, dict(env), output, errors))
        process.start()
        process.join()
        code = process.exitcode
        process.close()
        assert code is not None
        return subprocess.CompletedProcess(arguments, code, output.read_text(), errors.read_text())


@cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.preloaded"])
    return context


def _fork(
    work: Callable[[list[str]], None],
    arguments: list[str],
    folder: Path,
    env: dict[str, str],
    output: Path,
    errors: Path,
) -> None:
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    for file, descriptor in ((output, 1), (errors, 2)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    work(arguments)


def _manage(arguments: list[str]) -> None:
    sys.argv = ["manage.py", *arguments]
    runpy.run_path("manage.py", run_name="__main__")


def _execute(arguments: list[str]) -> None:
    (code,) = arguments
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 - a test's own
