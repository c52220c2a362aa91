"""`acceptance` makes a service, uses it, breaks it, measures it, and leaves nothing behind."""

from pathlib import Path

import pytest

from deploy.acceptance.steps import NAMES
from tests.support import acceptance
from tests.support.processes import left_of

pytestmark = pytest.mark.slow(quick="tests/acceptance/test_session.py")

# What only AWS can tell.
UNKNOWN = {"memory", "refresh", "events", "cost"}


def test_every_step_is_measured_and_nothing_is_left(cloud: str, prefix: str, tmp_path: Path, weights: str) -> None:
    with acceptance.running(cloud, tmp_path, weights, "--prefix", prefix) as process:
        output, errors = process.communicate()
    assert process.returncode == 0, output + errors
    expected = {name: "not known here" if name in UNKNOWN else "pass" for name in (*NAMES, "teardown")}
    assert acceptance.states(tmp_path) == expected
    assert acceptance.measured(tmp_path, "burst")["answered"] == 30
    assert acceptance.measured(tmp_path, "burst")["slowest answer"]
    assert (acceptance.measured(tmp_path, "scale-in")["nobody there"] or 0) > 0
    assert acceptance.measured(tmp_path, "killed-worker")["answered"] == 30
    assert acceptance.measured(tmp_path, "teardown") == {"deleted": 8, "left behind": 0}
    markdown = (tmp_path / "report.md").read_text()
    assert "| a burst of photos | pass |" in markdown
    assert "not known here (the local AWS keeps all points forever)" in markdown
    acceptance.check_nothing_is_left(prefix)
    assert left_of(tmp_path) == []
