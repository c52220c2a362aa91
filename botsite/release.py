"""Which release, and which commit of it, is running."""

import subprocess
from functools import cache
from pathlib import Path

import botsite

_CHECKOUT = Path(__file__).parents[1]


@cache
def text() -> str:
    """Return the version, and the commit where this runs from a git checkout: `0.1.0 (1a2b3c4)`."""
    commit = _commit()
    return f"{botsite.__version__} ({commit})" if commit else botsite.__version__


def _commit() -> str:
    """Return the short hash, with `-dirty` where tracked files were changed; empty where there is no git."""
    if not (_CHECKOUT / ".git").exists():
        return ""
    command = ["git", "describe", "--always", "--exclude=*", "--dirty"]
    try:
        done = subprocess.run(command, cwd=_CHECKOUT, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
