"""`restart` replaces a role's machines with new ones of the same image."""

from collections.abc import Iterator

import pytest
from django.core.management import CommandError

from botsite import aws
from deploy import provision
from deploy.service import Service
from tests.support import emulators
from tests.support.provisioning import run

PREFIX = "restarted"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A service on an emulated AWS."""
    with emulators.ministack():
        provision.deploy(Service(PREFIX))
        yield Service(PREFIX)


def refreshes() -> list[dict[str, object]]:
    """Return the instance refreshes of the sites."""
    asked = aws.client("autoscaling").describe_instance_refreshes(AutoScalingGroupName=f"{PREFIX}-polybot")
    found: list[dict[str, object]] = asked["InstanceRefreshes"]
    return found


def test_restart_asks_and_begins_a_refresh(service: Service) -> None:
    with pytest.raises(CommandError, match=f"Nothing was restarted: .* Add --yes to replace .* of {PREFIX}-polybot"):
        run("restart", "polybot", "--prefix", PREFIX)
    assert refreshes() == []
    assert f"{PREFIX}-polybot is replacing " in run("restart", "polybot", "--prefix", PREFIX, "--yes")
    assert [one["AutoScalingGroupName"] for one in refreshes()] == [f"{PREFIX}-polybot"]
