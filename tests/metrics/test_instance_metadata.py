"""An emulated instance gets its identity and its role's credentials from its metadata."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import urllib3

from deploy.local.autoscaling import credentials
from deploy.local.autoscaling.credentials import on_instance
from deploy.local.autoscaling.imds import Machine, MetadataService
from deploy.local.processes import PATIENCE_SECONDS
from tests.support import emulators
from tests.support.local_aws import make_role

TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"
STATE = "/latest/meta-data/autoscaling/target-lifecycle-state"
http = urllib3.PoolManager(timeout=PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def role_arn() -> Iterator[str]:
    with emulators.ministack():
        yield make_role("worker")


@pytest.fixture(scope="module")
def service() -> Iterator[MetadataService]:
    service = MetadataService()
    yield service
    service.close()


@pytest.fixture
def machine(role_arn: str) -> Machine:
    return Machine("i-0abc", "us-east-1b", "t3.micro", role_arn)


@pytest.fixture
def endpoint(service: MetadataService, machine: Machine) -> str:
    return service.add(machine)


def ask(method: str, url: str, **headers: str) -> tuple[int, str]:
    answer = http.request(method, url, headers=headers)
    return answer.status, answer.data.decode()


def token(endpoint: str) -> str:
    return ask("PUT", f"{endpoint}/latest/api/token", **{TTL: "60"})[1]


def get(endpoint: str, path: str) -> tuple[int, str]:
    return ask("GET", endpoint + path, **{TOKEN: token(endpoint)})


def whoami(endpoint: str, **env: str) -> str:
    """Return the identity of a process without keys, on an instance of a laptop whose owner has keys."""
    program = "import boto3; print(boto3.client('sts', 'us-east-1').get_caller_identity()['Arn'])"
    mine = {**os.environ, "AWS_PROFILE": "mine", **env}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=on_instance(mine, endpoint), capture_output=True, text=True, check=False
    )
    return ended.stdout.strip() or ended.stderr


def test_boto3_gets_only_credentials_of_instance_role(endpoint: str) -> None:
    assert whoami(endpoint) == f"arn:aws:sts::{emulators.account()}:assumed-role/worker/i-0abc"


def test_instance_environment_has_no_keys(endpoint: str) -> None:
    environment = on_instance({"AWS_SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "y", "AWS_REGION": "z"}, endpoint)
    assert not {"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID"} & set(environment)
    assert environment["AWS_REGION"] == "z"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/latest/meta-data/instance-id", (200, "i-0abc")),
        ("/latest/meta-data/instance-type", (200, "t3.micro")),
        ("/latest/meta-data/placement/availability-zone/", (200, "us-east-1b")),
        ("/latest/meta-data/placement/region", (200, "us-east-1")),
        ("/latest/meta-data/iam/security-credentials/", (200, "worker")),
        (STATE, (200, "InService")),
        ("/latest/meta-data/spot/instance-action", (404, "")),
        ("/latest/meta-data/iam/security-credentials/another", (404, "")),
        ("/latest/user-data", (404, "")),
    ],
)
def test_instance_reads_its_own_metadata(endpoint: str, path: str, answer: tuple[int, str]) -> None:
    assert get(endpoint, path) == answer


def test_instance_learns_of_its_termination(endpoint: str, machine: Machine) -> None:
    machine.lifecycle_state = "Terminated"
    assert get(endpoint, STATE) == (200, "Terminated")


@pytest.mark.parametrize("path", ["spot/instance-action", "events/recommendations/rebalance"])
def test_instance_learns_of_its_interruption(endpoint: str, machine: Machine, path: str) -> None:
    assert get(endpoint, f"/latest/meta-data/{path}") == (404, "")
    machine.notices[path] = "{}"
    assert get(endpoint, f"/latest/meta-data/{path}") == (200, "{}")


def test_requests_without_token_are_refused(endpoint: str) -> None:
    assert ask("GET", endpoint + STATE) == (401, "")


def test_token_expires_and_is_bound_to_its_instance(
    service: MetadataService, endpoint: str, machine: Machine, role_arn: str
) -> None:
    other = service.add(Machine("i-0def", "us-east-1a", "t3.micro", role_arn))
    assert ask("GET", other + STATE, **{TOKEN: token(endpoint)}) == (401, "")
    assert ask("GET", endpoint + STATE, **{TOKEN: machine.issue_token(0)}) == (401, "")


@pytest.mark.parametrize("ttl", ["", "0", "21601", "-1", "ten", "9" * 5000])
def test_invalid_token_ttl_is_refused(endpoint: str, ttl: str) -> None:
    assert ask("PUT", f"{endpoint}/latest/api/token", **{TTL: ttl}) == (400, "")


def test_token_is_refused_through_proxy(endpoint: str) -> None:
    headers = {TTL: "60", "X-Forwarded-For": "10.0.0.1"}
    assert ask("PUT", f"{endpoint}/latest/api/token", **headers) == (403, "")


def test_terminated_instance_has_no_metadata(service: MetadataService, endpoint: str, machine: Machine) -> None:
    service.remove(machine)
    assert ask("PUT", f"{endpoint}/latest/api/token", **{TTL: "60"}) == (404, "")


def test_credentials_are_kept_for_half_their_lifetime(machine: Machine) -> None:
    first = machine.credentials.current()
    assert machine.credentials.current() == first
    first["Expiration"] = (datetime.now(UTC) + credentials.LIFETIME / 3).isoformat()
    assert machine.credentials.current()["AccessKeyId"] != first["AccessKeyId"]


def test_credentials_are_renewed_after_clock_is_set_back(machine: Machine) -> None:
    first = machine.credentials.current()
    first["Expiration"] = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert machine.credentials.current()["AccessKeyId"] != first["AccessKeyId"]


def test_other_metadata_is_served_if_role_cannot_be_assumed(service: MetadataService) -> None:
    endpoint = service.add(Machine("i-0abc", "us-east-1a", "t3.micro", "no-role"))
    assert get(endpoint, "/latest/meta-data/iam/security-credentials/no-role")[0] == 503
    assert get(endpoint, "/latest/meta-data/instance-id") == (200, "i-0abc")
