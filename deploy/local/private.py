"""Keep the files of a local stack from the other users of the machine: people's messages, photos, keys."""

import os
import stat
from pathlib import Path


def make(folder: Path) -> None:
    """Make a folder for its owner alone, as is all that this process and its children write from now on."""
    os.umask(0o077)
    folder.mkdir(parents=True, exist_ok=True)
    state = folder.stat()
    # One that everybody writes to, such as /tmp, stays open; what is written there does not.
    if state.st_uid == os.getuid() and not state.st_mode & stat.S_ISVTX:
        folder.chmod(0o700)
