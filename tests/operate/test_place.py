"""A command on a terminal says which service it talks to, and where."""

from collections.abc import Iterator

import pytest

from deploy import provision
from deploy.service import Service
from tests.support import emulators, operating, terminals

PREFIX = "placed"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Return an AWS with a deployed service."""
    with emulators.own_ministack() as url:
        provision.deploy(Service(PREFIX))
        yield url


def first_line(*command: str, env: dict[str, str]) -> str:
    with terminals.running(*command, env=env) as screen:
        return screen.end()[1].splitlines()[0]


def test_terminal_shows_service_and_machine(endpoint: str) -> None:
    line = first_line("rollback", "--list", "--prefix", PREFIX, env=operating.environment(endpoint))
    assert line == f"{PREFIX}, on this machine ({endpoint})"


def test_terminal_shows_account_and_region(endpoint: str) -> None:
    # AWS to the command, since only the questions go elsewhere.
    to = {f"AWS_ENDPOINT_URL_{name}": endpoint for name in ("CLOUDFORMATION", "STS", "EC2", "AUTO_SCALING")}
    line = first_line("rollback", "--list", "--prefix", PREFIX, env=operating.environment("", **to))
    assert line == f"{PREFIX}, account 000000000000 in us-east-1"


def test_silent_aws_delays_nothing(endpoint: str) -> None:
    nowhere = operating.environment("", AWS_ENDPOINT_URL_STS="http://127.0.0.1:9", AWS_ENDPOINT_URL_EC2=endpoint)
    line = first_line("stack_env", "--prefix", PREFIX, env=nowhere | {"AWS_ENDPOINT_URL_CLOUDFORMATION": endpoint})
    assert line == f"{PREFIX}, AWS in us-east-1"


def test_settings_of_environment_are_named(endpoint: str) -> None:
    env = operating.environment(endpoint, JOBS_QUEUE_URL=f"{endpoint}/000000000000/{PREFIX}-jobs")
    line = first_line("dlq", "list", env=env | {"PREDICTIONS_TABLE": f"{PREFIX}-predictions"})
    assert line.startswith("JOBS_QUEUE_URL")
    assert line.endswith(f"of the environment, on this machine ({endpoint})")


def test_status_names_it_once(endpoint: str) -> None:
    with terminals.running("status", "--prefix", PREFIX, env=operating.environment(endpoint)) as screen:
        assert screen.end()[1].count(f"{PREFIX}, ") == 1


def test_pipe_gets_no_such_line(endpoint: str) -> None:
    done = operating.manage("rollback", "--list", "--prefix", PREFIX, env=operating.environment(endpoint))
    assert endpoint not in done.stdout + done.stderr
