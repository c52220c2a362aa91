"""Upgrade a service of the previous release, on this machine, while photos are under way, and count the answers.

    make upgrade                          from the release that tests/upgrade/release.py names
    python -m tests.upgrade --from REV    from another tag or commit

The templates are deployed first. Then workers, sites and the metricStreamer are replaced one after the other, back and
forth, so that each reads the jobs, items and calls of the other release, a backlog of waiting photos among them. Exit
code 1: a photo got no answer, more than one, or an apology; or DynamoDB would not take the change of the indexes.
"""

from tests.support import tool

if __name__ == "__main__":
    tool.run("upgrade", __doc__)
