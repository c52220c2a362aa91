"""Let `python manage.py COMMAND` in another terminal find the running demo.

The demo writes its environment to a file and keeps that file locked. The kernel releases the lock however the demo
ends, so a file that is not locked is stale.
"""

import fcntl
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Commands that need no deployed service, talk to another one, or bring their own.
_ALONE = frozenset(("demo", "export_weights", "poll", "simulate_scaling", "version"))
# What says that a command means another service. Somebody who sets any of these, in the environment or in .env, gets
# what they ask for. Credentials that boto3 finds elsewhere, in ~/.aws or as the machine's role, do not count: most
# developers have some, and while the demo runs a mistaken command should hit the demo rather than AWS. The line on
# stderr tells which of the two it was.
_ANOTHER_SERVICE = frozenset(
    (
        "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "JOBS_QUEUE_URL",
        "IMAGES_BUCKET",
        "PREDICTIONS_TABLE",
        "POLYBOT_URL",
        "SERVICE_SECRETS",
        "TELEGRAM_TOKEN_SECRET",
    )
)
_LINE = re.compile(r"^\s*(?:export\s+)?(\w+)=(.*)$", re.MULTILINE)


def folder() -> Path:
    """Return the demo's folder: DEMO_FOLDER, by default var/demo of this checkout."""
    return Path(os.environ.get("DEMO_FOLDER") or ROOT / "var" / "demo")


class AlreadyRunning(Exception):
    """Another demo runs in the folder: two would share logs, logins and ports."""


@contextmanager
def alone(where: Path) -> Iterator[None]:
    """Be the only demo of the folder for the length of the block; raise AlreadyRunning, naming the other, if not."""
    with (where / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            at = _running(where / "env").get("AWS_ENDPOINT_URL", "an address that it has not chosen yet")
            raise AlreadyRunning(
                f"A demo is running in {where} already: process {file.read().strip()}, with its AWS at {at}. Stop that "
                "one (Ctrl-C), or give this one a --folder of its own."
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


@contextmanager
def published(env: Mapping[str, str], where: Path) -> Iterator[Path]:
    """Write the environment to a file in the folder `where` for the length of the block; only its owner may read it."""
    path, new = where / "env", where / "env.new"
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(env.items())))
        file.flush()
        new.replace(path)
        try:
            yield path
        finally:
            # Another demo may have put its own there.
            if path.exists() and path.samefile(f"/dev/fd/{file.fileno()}"):
                path.unlink()


def adopt(arguments: Sequence[str]) -> None:
    """Have this process's settings come from the running demo, unless the command or the environment means another."""
    command = arguments[1] if len(arguments) > 1 else ""
    ours = (ROOT / "deploy" / "management" / "commands" / f"{command}.py").is_file()
    if not ours or command in _ALONE or "--local" in arguments:
        return
    if not (found := _running(folder() / "env")):
        return
    if named := _names_another_service():
        sys.stderr.write(f"A demo is running here, but {named} is set: using what that names, not the demo.\n")
        return
    os.environ.update(found)
    sys.stderr.write(f"Using the demo that is running here, at {found['AWS_ENDPOINT_URL']}, not AWS.\n")


def _names_another_service() -> str:
    """Return the name of a variable that selects another service, or an empty string."""
    try:
        stored = dict(_LINE.findall((ROOT / ".env").read_text()))
    except OSError:
        stored = {}
    return next((name for name in sorted(_ANOTHER_SERVICE) if os.environ.get(name) or stored.get(name)), "")


def _running(path: Path) -> dict[str, str]:
    """Return what the file holds; nothing if its demo is gone."""
    try:
        with path.open() as file:
            if not _locked(file.fileno()):
                return {}
            return dict(line.split("=", 1) for line in shlex.split(file.read()))
    except OSError:
        return {}


def _locked(descriptor: int) -> bool:
    """Return whether another process holds the file's lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
