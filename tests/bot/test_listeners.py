"""The deployed load balancer: which requests reach the sites, and from where."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from botsite import aws
from deploy import provision, stacks
from deploy.cfn import template
from deploy.service import Service
from tests.support import emulators

TELEGRAM = ["149.154.160.0/20", "91.108.4.0/22"]
OPERATOR = "203.0.113.7/32"


class Site(BaseHTTPRequestHandler):
    """A site that accepts everything, so whatever is refused was refused by the load balancer."""

    def do_GET(self) -> None:
        """Accept a request."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Run an emulated AWS for this module."""
    with emulators.ministack(emulators.NOBODYS) as url:
        yield url


@pytest.fixture(scope="module")
def balancer(endpoint: str) -> Iterator[str]:
    """Return the name of a load balancer in front of one site."""
    outputs = deployed("open", CertificateArn=certificate(), OperatorCidr=OPERATOR)
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        target = {"Id": "127.0.0.1", "Port": site.server_port}
        aws.client("elbv2").register_targets(TargetGroupArn=outputs["TargetGroupArn"], Targets=[target])
        yield outputs["BalancerDnsName"]
        site.shutdown()


def certificate() -> str:
    """Return the ARN of a certificate, which the emulator ignores."""
    return str(aws.client("acm").request_certificate(DomainName="bot.example.com")["CertificateArn"])


def deployed(prefix: str, **values: str) -> dict[str, str]:
    """Provision and return the outputs of the sites' stack."""
    provision.deploy(Service(prefix), values)
    return dict(Service(prefix).stack("web").outputs)


def rules(prefix: str) -> dict[int, list[dict[str, list[str]]]]:
    """Return the conditions of each rule in order, by the listener's port."""
    elb = aws.client("elbv2")
    arn = elb.describe_load_balancers(Names=[prefix])["LoadBalancers"][0]["LoadBalancerArn"]
    listeners = elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]
    return {one["Port"]: [conditions(rule) for rule in ordered(one["ListenerArn"])] for one in listeners}


def ordered(listener: str) -> list[dict[str, Any]]:
    found = aws.client("elbv2").describe_rules(ListenerArn=listener)["Rules"]
    return sorted(found, key=lambda rule: (rule["IsDefault"], rule["Priority"]))


def conditions(rule: dict[str, Any]) -> dict[str, list[str]]:
    configs = {"path-pattern": "PathPattern", "http-request-method": "HttpRequestMethod", "source-ip": "SourceIp"}
    return {one["Field"]: one[f"{configs[one['Field']]}Config"]["Values"] for one in rule["Conditions"]}


@pytest.mark.parametrize(
    ("port", "method", "path"),
    [
        (443, "POST", "/telegram/webhook"),
        (443, "GET", "/admin"),
        (443, "GET", "/admin/login/"),
        (443, "POST", "/admin/login/"),
        (443, "GET", "/ops"),
        (443, "GET", "/ops/"),
        (443, "GET", "/static/admin/css/base.css"),
        (80, "GET", "/results?predictionId=1"),
    ],
)
def test_needed_requests_come_through(endpoint: str, balancer: str, port: int, method: str, path: str) -> None:
    answer = httpx.request(method, endpoint + path, headers={"Host": f"{balancer}:{port}"})
    assert answer.status_code == 200


def test_form_with_an_origin_comes_through(endpoint: str, balancer: str) -> None:
    """What calls the emulated AWS itself may have none; forms are judged by the sites."""
    headers = {"Host": f"{balancer}:443", "Origin": f"https://{balancer}"}
    assert httpx.post(f"{endpoint}/admin/login/", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("port", "method", "path"),
    [
        (443, "GET", "/telegram/webhook"),
        (443, "POST", "/telegram/webhook/"),
        (443, "POST", "/telegram/webhook/x"),
        (443, "GET", "/results?predictionId=1"),
        (443, "GET", "/healthz"),
        (443, "GET", "/readyz"),
        (443, "GET", "/"),
        (80, "POST", "/results?predictionId=1"),
        (80, "GET", "/results/1"),
        (80, "POST", "/telegram/webhook"),
        (80, "GET", "/admin/"),
        (80, "GET", "/ops/"),
        (80, "GET", "/healthz"),
        (80, "GET", "/"),
    ],
)
def test_other_requests_are_not_found(endpoint: str, balancer: str, port: int, method: str, path: str) -> None:
    answer = httpx.request(method, endpoint + path, headers={"Host": f"{balancer}:{port}"})
    assert (answer.status_code, answer.text) == (404, "not found")


def test_webhook_and_admin_are_open_to_their_networks_only(balancer: str) -> None:
    """Checks the configuration, as the emulator ignores where a request comes from."""
    assert rules("open") == {
        80: [{"path-pattern": ["/results"], "http-request-method": ["GET"]}, {}],
        443: [
            {"path-pattern": ["/telegram/webhook"], "http-request-method": ["POST"], "source-ip": TELEGRAM},
            {"path-pattern": ["/telegram/webhook"], "http-request-method": ["POST"], "source-ip": [OPERATOR]},
            {"path-pattern": ["/admin*", "/ops*", "/static/*"], "source-ip": [OPERATOR]},
            {},
        ],
    }


def test_admin_is_closed_without_operator(endpoint: str) -> None:
    deployed("closed", CertificateArn=certificate())
    paths = [rule.get("path-pattern") for rule in rules("closed")[443]]
    assert paths == [["/telegram/webhook"], None]


def test_nothing_listens_on_443_without_certificate(endpoint: str) -> None:
    deployed("bare")
    assert list(rules("bare")) == [80]


def test_domain_points_to_load_balancer_and_is_allowed(endpoint: str) -> None:
    route53 = aws.client("route53")
    zone = route53.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"].rpartition("/")[2]
    outputs = deployed("named", CertificateArn=certificate(), Domain="bot.example.com", HostedZoneId=zone)
    records = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    alias = next(one["AliasTarget"] for one in records if one["Name"] == "bot.example.com.")
    assert alias["DNSName"].rstrip(".") == outputs["BalancerDnsName"]
    assert outputs["WebhookHost"] == "bot.example.com"


def test_rules_stay_within_limit_of_load_balancer() -> None:
    for name, resource in template.read(stacks.TEMPLATES / "web.yaml").all_resources.items():
        if resource["Type"] == "AWS::ElasticLoadBalancingV2::ListenerRule":
            configs = [value for one in resource["Properties"]["Conditions"] for value in one.values()]
            assert sum(len(one["Values"]) for one in configs if isinstance(one, dict)) <= 5, name
