#!/usr/bin/env python3
"""Run a command: `python manage.py` lists this project's own, `python manage.py help` Django's as well."""

import _signal  # built in: `signal` takes so long to import that Ctrl-C may come meanwhile

if __name__ == "__main__" and _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    # Until a command runs (deploy/management/utility.py), Ctrl-C ends this process without a traceback.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

import importlib.util
import os
import sys
from contextlib import suppress
from pathlib import Path

VENV = Path(__file__).resolve().parent / ".venv"


def use_venv() -> None:
    """Go on with the Python of `.venv` if this one lacks Django; nobody has to activate it first."""
    if importlib.util.find_spec("django"):
        return
    python = VENV / "bin" / "python"
    if not python.exists():
        sys.exit("Nothing is installed here yet. Run `make demo` or `make test`: both make .venv.")
    if Path(sys.prefix).resolve() == VENV.resolve():
        sys.exit("The installation in .venv is incomplete. Run `make demo` or `make test` again.")
    os.execv(python, [str(python), *sys.argv])  # noqa: S606 - the same program under another Python


if __name__ == "__main__":
    use_venv()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")
    with suppress(ModuleNotFoundError):  # The images have no deploy/local.
        from deploy.local import demo_environment

        demo_environment.adopt(sys.argv)
    from deploy.management.utility import Utility

    Utility(sys.argv).execute()
