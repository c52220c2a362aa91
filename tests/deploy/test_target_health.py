"""The local load balancer forwards to healthy sites only."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import urllib3

from botsite import aws
from deploy.local.target_health import Health, HealthChecks, Target, TargetState
from tests.support import emulators
from tests.support.processes import PATIENCE_SECONDS, wait_until

http = urllib3.PoolManager(timeout=PATIENCE_SECONDS, retries=False)


class Site:
    """A site whose health is up to the test."""

    def __init__(self, host: str) -> None:
        self.status = 200
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(site.status if self.path == "/readyz" else 200)
                self.end_headers()
                self.wfile.write(host.encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self.target = Target(host, host, self._server.server_port)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with emulators.ministack(emulators.NOBODYS) as url:
        yield url


@pytest.fixture
def group(endpoint: str) -> Iterator[str]:
    """Create a target group behind a load balancer named `sites`."""
    elb = aws.client("elbv2")
    balancer = elb.create_load_balancer(Name="sites", Subnets=["a", "b"])["LoadBalancers"][0]["LoadBalancerArn"]
    arn = elb.create_target_group(
        Name="sites",
        Protocol="HTTP",
        Port=8000,
        TargetType="instance",
        VpcId="vpc",
        HealthCheckPath="/readyz",
        HealthCheckIntervalSeconds=15,
        HealthCheckTimeoutSeconds=2,
        HealthyThresholdCount=2,
        UnhealthyThresholdCount=2,
    )["TargetGroups"][0]["TargetGroupArn"]
    forward = [{"Type": "forward", "TargetGroupArn": arn}]
    elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=forward)
    yield arn
    elb.delete_load_balancer(LoadBalancerArn=balancer)
    elb.delete_target_group(TargetGroupArn=arn)


@pytest.fixture
def checks(group: str) -> Iterator[HealthChecks]:
    """Run checks every 20 ms; `lines` is what they reported."""
    lines: list[str] = []
    checks = HealthChecks(group, 0.02 / 15, lines.append)
    checks.lines = lines  # type: ignore[attr-defined]
    checks.start()
    yield checks
    checks.stop()


@pytest.fixture
def sites(checks: HealthChecks) -> Iterator[tuple[Site, Site]]:
    """Return two healthy sites."""
    both = Site("127.0.0.1"), Site("127.0.0.2")
    for site in both:
        checks.add(site.target)
    wait_until(lambda: registered(checks) == {site.target.host for site in both})
    yield both
    for site in both:
        site.close()


def registered(checks: HealthChecks) -> set[str]:
    """Return the hosts that the balancer forwards to."""
    health = aws.client("elbv2").describe_target_health(TargetGroupArn=checks.target_group_arn)
    return {one["Target"]["Id"] for one in health["TargetHealthDescriptions"]}


def reached(endpoint: str, requests: int = 12) -> set[str]:
    """Return which site answers through the balancer."""
    return {http.request("GET", f"{endpoint}/_alb/sites/").data.decode() for _ in range(requests)}


def test_requests_reach_every_healthy_site(endpoint: str, sites: tuple[Site, Site]) -> None:
    assert reached(endpoint, 40) == {"127.0.0.1", "127.0.0.2"}


def test_failing_site_gets_no_requests_until_it_recovers(
    endpoint: str, checks: HealthChecks, sites: tuple[Site, Site]
) -> None:
    sites[1].status = 503
    wait_until(lambda: registered(checks) == {"127.0.0.1"})
    assert reached(endpoint) == {"127.0.0.1"}
    assert checks.state(sites[1].target) is TargetState.UNHEALTHY
    sites[1].status = 200
    wait_until(lambda: registered(checks) == {"127.0.0.1", "127.0.0.2"})


def test_unreachable_site_is_taken_out(checks: HealthChecks, sites: tuple[Site, Site]) -> None:
    sites[0].close()
    wait_until(lambda: registered(checks) == {"127.0.0.2"})
    assert checks.lines[-1] == "127.0.0.1 is unhealthy: /readyz answered NewConnectionError"  # type: ignore[attr-defined]


def test_leaving_site_gets_no_more_requests(checks: HealthChecks, sites: tuple[Site, Site]) -> None:
    checks.remove(sites[0].target)
    assert registered(checks) == {"127.0.0.2"}


def test_manual_changes_to_targets_are_reverted(group: str, checks: HealthChecks, sites: tuple[Site, Site]) -> None:
    elb = aws.client("elbv2")
    elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": "127.0.0.1"}])
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "127.0.0.9", "Port": 1}])
    wait_until(lambda: registered(checks) == {"127.0.0.1", "127.0.0.2"})


@pytest.mark.parametrize(
    ("seen", "states"),
    [
        ("+", "healthy"),
        ("-", "initial"),
        ("---+", "initial initial initial healthy"),
        ("+--", "healthy healthy unhealthy"),
        ("+-+-", "healthy healthy healthy healthy"),
        ("+--++", "healthy healthy unhealthy unhealthy healthy"),
    ],
)
def test_site_changes_state_at_threshold(seen: str, states: str) -> None:
    health = Health(healthy_threshold=2, unhealthy_threshold=2)
    found = []
    for one in seen:
        health.saw(one == "+")
        found.append(str(health.state))
    assert " ".join(found) == states
