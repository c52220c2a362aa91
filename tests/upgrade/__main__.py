"""Upgrade a service of the previous release, on this machine, while photos are under way, and count the answers.

    make upgrade                          from the release that tests/upgrade/release.py names
    python -m tests.upgrade --from REV    from another tag or commit

The templates are deployed first. Then workers, sites and the metricStreamer are replaced one after the other, back and
forth, so that each reads the jobs, items and calls of the other release, a backlog of waiting photos among them. Exit
code 1: a photo got no answer, more than one, or an apology; or DynamoDB would not take the change of the indexes.
"""

import os

import django


def main() -> None:
    """Set Django up, then do what the command line asks for."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")
    os.environ.setdefault("LOG_FORMAT", "json")
    django.setup()
    # What this imports needs Django.
    from tests.upgrade import command

    command.run(__doc__ or "")


if __name__ == "__main__":
    main()
