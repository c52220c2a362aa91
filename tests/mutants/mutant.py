"""Read the mutants, each a file of this folder, and apply one to a copy of the checkout."""

import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Mutant:
    """A small defect: `before` becomes `after` in the file `path`, and one of the test files `tests` has to fail."""

    name: str
    path: str
    before: str
    after: str
    tests: tuple[str, ...]

    @contextmanager
    def applied(self, folder: Path) -> Iterator[None]:
        """Have a copy of the checkout contain this mutant within the block."""
        file = folder / self.path
        healthy = file.read_text(encoding="utf-8")
        assert healthy.count(self.before) == 1, f"{self.name}: `before` has to occur once in {self.path}"
        file.write_text(healthy.replace(self.before, self.after), encoding="utf-8")
        try:
            yield
        finally:
            file.write_text(healthy, encoding="utf-8")


def every() -> list[Mutant]:
    """Return all mutants, by name."""
    return [_read(file) for file in sorted(FOLDER.glob("*.toml"))]


def copy(folder: Path) -> Path:
    """Copy what git knows of the checkout into a folder; return it."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def _read(file: Path) -> Mutant:
    values = tomllib.loads(file.read_text(encoding="utf-8"))
    return Mutant(file.stem, values["path"], values["before"], values["after"], tuple(values["tests"]))
