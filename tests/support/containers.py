"""Read the Dockerfiles, and run a role as its container would: its command, its variables, its packages, no more."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from string import Template

from tests.support import locks

FOLDER = Path(__file__).parents[2] / "deploy" / "docker"
FILES = sorted(FOLDER.glob("*.Dockerfile"))
# Stands in the way of modules that the container does not have; Python imports a module of this name when it starts.
_GUARD = """
import os, sys

class Guard:
    outside = set(os.environ["OUTSIDE"].split(","))

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.outside:
            raise ModuleNotFoundError(f"the container has no {name}", name=name)

sys.meta_path.insert(0, Guard())
"""


@dataclass(frozen=True)
class Instruction:
    """A line of a Dockerfile, continuation lines joined: FROM, RUN, ... and what follows it."""

    name: str
    text: str


@dataclass(frozen=True)
class Stage:
    """What stands between one FROM and the next."""

    base: str
    instructions: tuple[Instruction, ...]

    def all(self, name: str) -> list[str]:
        """Return what follows each instruction of that name."""
        return [one.text for one in self.instructions if one.name == name]

    @property
    def variables(self) -> dict[str, str]:
        """Return the variables of ENV."""
        words = [word for text in self.all("ENV") for word in shlex.split(text)]
        return dict(word.split("=", 1) for word in words)


def stages(path: Path) -> list[Stage]:
    """Return the stages of a Dockerfile; the last one becomes the image."""
    text = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", path.read_text()))
    instructions = [Instruction(*line.split(None, 1)) for line in text.splitlines() if line.strip()]
    starts = [number for number, one in enumerate(instructions) if one.name == "FROM"]
    ends = [*starts[1:], len(instructions)]
    return [
        Stage(instructions[start].text, tuple(instructions[start + 1 : end]))
        for start, end in zip(starts, ends, strict=True)
    ]


def installed(path: Path) -> set[str]:
    """Return the distributions that an image holds: those of the lock of its role."""
    return locks.names(path.with_suffix(".lock"))


def proof_settings(**values: str) -> dict[str, str]:
    """Return the settings that a builder gives its container (bake.sh), its shell variables filled in."""
    text = (FOLDER / "bake.sh").read_text().partition("<<END\n")[2].partition("\nEND\n")[0]
    return dict(Template(line).substitute(values).split("=", 1) for line in text.splitlines())


@dataclass(frozen=True)
class Container:
    """A role's container laid out in a folder: what it runs, and what tells whether it is well."""

    command: list[str]
    check: list[str]
    env: dict[str, str]
    app: Path

    def healthy(self) -> bool:
        """Return what the image's HEALTHCHECK says."""
        done = subprocess.run(self.check, env=self.env, cwd=self.app, capture_output=True, check=False)
        return done.returncode == 0

    @contextmanager
    def run(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run it for the length of a `with` block, with its own variables alone; what it leaves behind is killed."""
        with (self.app.parent / "output").open("wb") as output:
            command = [shutil.which(self.command[0], path=self.env["PATH"]) or "", *self.command[1:]]
            process = subprocess.Popen(
                command, env=self.env, cwd=self.app, stdout=output, stderr=output, start_new_session=True
            )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def lay_out(path: Path, root: Path, port: int, env: dict[str, str]) -> Container:
    """Copy what the image holds, and no more, to `root`; let it serve at `port`, and write only to `root`/state."""
    image = stages(path)[-1]
    (root / "state").mkdir(parents=True)
    moved = {name: value.replace("/srv/state", str(root / "state")) for name, value in image.variables.items()}
    check = image.all("HEALTHCHECK")[0].partition(" CMD ")[2].replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    return Container(
        command=json.loads(image.all("CMD")[0]),
        check=json.loads(check),
        env=moved | env | confined(installed(path), root / "guard"),
        app=copied(image, root / "app"),
    )


def confined(distributions: set[str], guard: Path) -> dict[str, str]:
    """Return variables under which Python has these distributions and nothing else that is here."""
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(_GUARD)
    outside = ",".join(sorted(modules_outside(distributions)))
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return {"PATH": path, "PYTHONPATH": str(guard), "OUTSIDE": outside}


def copied(stage: Stage, app: Path) -> Path:
    """Copy to `app` what a stage takes from the repository to its working directory."""
    for text in stage.all("COPY"):
        if not text.startswith("--from") and not text.split()[-1].startswith("/"):
            _copy(text.split(), app)
    return app


def _copy(words: list[str], app: Path) -> None:
    *sources, target = words
    for source in sources:
        place = app / target / Path(source).name if target.endswith("/") else app / target
        place.parent.mkdir(parents=True, exist_ok=True)
        found = FOLDER.parents[1] / source
        if found.is_dir():
            shutil.copytree(found, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(found, place)


def modules_outside(distributions: set[str]) -> set[str]:
    """Return the top-level modules of everything else that is installed here."""
    return {
        module
        for module, owners in metadata.packages_distributions().items()
        if not {_normal(owner) for owner in owners} & distributions
    }


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
