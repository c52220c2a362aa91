"""Which release, and which commit of it, is running."""

import re
import subprocess
from functools import cache
from pathlib import Path

import botsite

_CHECKOUT = Path(__file__).parents[1]
# Images have no git: the commit is written next to this file when their source is packed (deploy/images/source.py).
WRITTEN = Path(__file__).with_name("COMMIT")
_HASH = re.compile(r"^([0-9a-f]{7})[0-9a-f]*")


@cache
def text() -> str:
    """Return the version, and the commit where it is known: `0.1.0 (1a2b3c4)`."""
    commit = _commit()
    return f"{botsite.__version__} ({commit})" if commit else botsite.__version__


def _commit() -> str:
    """Return the short hash, with `-dirty` where tracked files were changed; empty where nothing tells it."""
    if not (_CHECKOUT / ".git").exists():
        return _HASH.sub(r"\1", WRITTEN.read_text().strip()) if WRITTEN.is_file() else ""
    command = ["git", "describe", "--always", "--exclude=*", "--dirty"]
    try:
        done = subprocess.run(command, cwd=_CHECKOUT, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
