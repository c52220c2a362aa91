"""The policy for pausing and holding (deploy/policies/operator/) suffices for the commands, and nothing is to spare."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError
from django.core.management import CommandError

from botsite import pause
from deploy import provision
from deploy.preflight import rights
from deploy.service import Service
from tests.support import judged
from tests.support.mutants import mutants
from tests.support.provisioning import run

pytestmark = pytest.mark.slow

PREFIX = "calm"
WHO = "operator"
POLICY = rights.FOLDER / "operator" / "pause-and-scale.json"
DENIED = re.compile("AccessDenied|not authorized|lack")
COMMANDS = (
    ("pause",),
    ("pause",),
    ("resume",),
    ("scale", "--min", "2", "--for", "1h"),
    ("scale", "--min", "1", "--for", "1h"),
)


@dataclass
class Operator:
    """Somebody who has only the policy; `root` makes clients that may do everything."""

    root: Any

    def permit(self, document: dict[str, Any]) -> None:
        """Give the operator this policy."""
        self.root("iam").put_user_policy(UserName=WHO, PolicyName="all", PolicyDocument=json.dumps(document))

    def trouble(self) -> str:
        """Give all commands; return what went wrong first, empty if nothing did."""
        self._clear()
        try:
            for command in (*COMMANDS, ("scale", "--off")):
                run(*command, "--prefix", PREFIX)
        except (ClientError, CommandError) as error:
            return str(error)
        return ""

    def _clear(self) -> None:
        self.root("dynamodb").delete_item(
            TableName=f"{PREFIX}-predictions", Key={"prediction_id": {"S": "pause#service"}}
        )
        group = {"AutoScalingGroupName": f"{PREFIX}-yolo5"}
        for one in self.root("autoscaling").describe_scheduled_actions(**group)["ScheduledUpdateGroupActions"]:
            self.root("autoscaling").delete_scheduled_action(**group, ScheduledActionName=one["ScheduledActionName"])


def document() -> dict[str, Any]:
    """Return the policy for this prefix, without the condition, which the emulator doesn't know."""
    found: dict[str, Any] = json.loads(POLICY.read_text().replace("objdet", PREFIX))
    for statement in found["Statement"]:
        statement.pop("Condition", None)
    return found


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """Given a deployed service on an AWS that checks permissions."""
    with judged.running(tmp_path_factory.mktemp("tls")) as root:
        provision.deploy(Service(PREFIX))
        with judged.somebody(root, WHO):
            yield Operator(root)


@pytest.mark.smoke
def test_policy_suffices(operator: Operator) -> None:
    operator.permit(document())
    assert operator.trouble() == ""


def test_policy_permits_nothing_unneeded(operator: Operator) -> None:
    survivors = []
    for name, mutant in mutants(document()):
        operator.permit(mutant)
        if not DENIED.search(wrong := operator.trouble()):
            survivors.append((name, wrong))
    assert survivors == []


@pytest.mark.smoke
def test_policy_reaches_only_the_pause_in_the_table() -> None:
    """As configuration: the emulator does not know this condition."""
    statements = {one["Sid"]: one for one in json.loads(POLICY.read_text())["Statement"]}
    assert statements["Pause"]["Condition"] == {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [pause.KEY]},
    }
