"""On AWS, `provision` gives Telegram the webhook once the sites are healthy, and makes the alarms once the metric is.

The emulator launches nothing, so what AWS answers meanwhile is recorded.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import pytest
from django.core.management import CommandError

from botsite import aws
from deploy import provision
from deploy.cfn import cloudformation
from deploy.local.telegram.client import TelegramControl
from deploy.operate import sites
from deploy.service import Service
from metrics.backlog import BACKLOG
from tests.support import emulators, recorded_aws
from tests.support.deployed import statuses
from tests.support.emulators import TOKEN
from tests.support.provisioning import run_provision
from tests.support.recorded_aws import Answer, Cloud

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("control")]

# The emulator keeps no credits, which only T3 has.
VALUES = dict.fromkeys(("WebType", "WorkerType", "MetricsType"), "c7i-flex.large")
ELB = 'xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"'
HEALTHY = "<State>healthy</State>"
# docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetHealth.html
BOOTING = (
    "<State>initial</State><Reason>Elb.RegistrationInProgress</Reason>"
    "<Description>Target registration is in progress</Description>"
)
CRASHED = (
    "<State>unhealthy</State><Reason>Target.FailedHealthChecks</Reason><Description>Health checks failed</Description>"
)
# The members are those of API_Activity.html; the text is EC2's VcpuLimitExceeded (EC2 user guide, "Error codes").
REFUSED = Answer(
    '<DescribeScalingActivitiesResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">'
    "<DescribeScalingActivitiesResult><Activities><member><ActivityId>1</ActivityId>"
    "<AutoScalingGroupName>x</AutoScalingGroupName><Description>Launching a new EC2 instance</Description>"
    "<Cause>an instance was started</Cause><StartTime>2026-06-01T00:00:00Z</StartTime><StatusCode>Failed</StatusCode>"
    "<StatusMessage>You have requested more vCPU capacity than your current vCPU limit of 1 allows. VcpuLimitExceeded"
    "</StatusMessage></member></Activities></DescribeScalingActivitiesResult></DescribeScalingActivitiesResponse>"
)


def health(*states: str) -> Answer:
    """Return DescribeTargetHealth's answer for so many sites."""
    found = "".join(
        f"<member><Target><Id>i-{number}</Id><Port>8000</Port></Target><TargetHealth>{state}</TargetHealth></member>"
        for number, state in enumerate(states)
    )
    return Answer(
        f"<DescribeTargetHealthResponse {ELB}><DescribeTargetHealthResult><TargetHealthDescriptions>{found}"
        "</TargetHealthDescriptions></DescribeTargetHealthResult></DescribeTargetHealthResponse>"
    )


@dataclass
class BootingCloud(Cloud):
    """An AWS whose machines take their time: each look at the sites finds the next state, the last one for good.

    With the second look at the metric it has a point, of the group `publishes`.
    """

    looks: list[Answer] = field(default_factory=lambda: [health(HEALTHY, HEALTHY)])
    publishes: str = ""

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes, str]:
        if b"Action=DescribeTargetHealth" in body:
            answer = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
            return answer.status, answer.body.encode(), "text/xml"
        if "GetMetricData" in f"{headers.get('X-Amz-Target')} {path}" or b"Action=GetMetricData" in body:
            self.asked.append("GetMetricData")
            if self.asked.count("GetMetricData") == 2:
                publish(self.emulator, self.publishes)
        return super().answer(method, path, headers, body)


def publish(emulator: str, group: str) -> None:
    """Publish a point of the metric, as the metricStreamer does."""
    dimensions = {"Name": "AutoScalingGroupName", "Value": group}
    parts = {
        "Action": "PutMetricData",
        "Namespace": "ObjectDetection",
        "MetricData.member.1.MetricName": BACKLOG,
        "MetricData.member.1.Value": "0",
        "MetricData.member.1.Timestamp": datetime.now(UTC).isoformat(),
        "MetricData.member.1.StorageResolution": "1",
        **{f"MetricData.member.1.Dimensions.member.1.{key}": value for key, value in dimensions.items()},
    }
    scope = f"{emulators.account()}/20260101/us-east-1/monitoring/aws4_request"
    who = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=x"
    httpx.post(emulator, data=parts, headers={"Authorization": who}).raise_for_status()


@pytest.fixture
def deployed(prefix: str, cloud: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[BootingCloud]:
    """AWS with a service on it that has no token yet."""
    run_provision(prefix, "--self-signed", *arguments())
    # It has finished before it answers, as an emulator does.
    monkeypatch.setattr(aws, "pause", lambda seconds: time.sleep(0.02))
    booting = BootingCloud(cloud, cloud)
    with recorded_aws.taken_for_aws(booting):
        yield booting


def arguments() -> list[str]:
    """Return the arguments for these types and some image, so that nothing is baked."""
    image = aws.client("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    images = dict.fromkeys(("PolybotImageId", "Yolo5ImageId", "MetricsImageId"), image)
    pairs = [f"{name}={value}" for name, value in {**VALUES, **images}.items()]
    return ["--unchecked", *(one for pair in pairs for one in ("--parameter", pair))]


@pytest.mark.smoke
def test_webhook_is_set_once_sites_are_healthy(prefix: str, deployed: BootingCloud, control: TelegramControl) -> None:
    deployed.looks = [health(), health(BOOTING, BOOTING), health(HEALTHY, BOOTING), health(HEALTHY, HEALTHY)]
    lines = run_provision(prefix, *arguments(), token=TOKEN)
    assert [line for line in lines if "healthy sites" in line] == [
        "waiting for 2 healthy sites: none yet",
        *(
            f"waiting for 2 healthy sites: i-0 {first}, i-1 initial (Target registration is in progress)"
            for first in ("initial (Target registration is in progress)", "healthy")
        ),
    ]
    assert control.webhook()["url"]


def test_crashing_sites_stop_the_run_with_their_last_lines(
    prefix: str, deployed: BootingCloud, control: TelegramControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sites, "SECONDS", 1)
    deployed.looks = [health(CRASHED, CRASHED)]
    now = datetime.now(UTC)
    line = {"time": now.isoformat().replace("+00:00", "Z"), "level": "error", "event": "setting_missing"}
    logs, group = aws.client("logs"), f"/{prefix}/polybot"
    logs.create_log_stream(logGroupName=group, logStreamName="i-0")
    event = {"timestamp": int(now.timestamp() * 1000), "message": json.dumps({**line, "name": "IMAGES_BUCKET"})}
    logs.put_log_events(logGroupName=group, logStreamName="i-0", logEvents=[event])
    with pytest.raises(CommandError) as failed:
        run_provision(prefix, *arguments(), token=TOKEN)
    said = str(failed.value)
    assert "i-0 unhealthy (Health checks failed), i-1 unhealthy (Health checks failed)" in said
    assert "polybot-i-0 error setting_missing name=IMAGES_BUCKET" in said
    assert control.webhook()["url"] == ""


def test_refused_launch_is_why_no_site_is_healthy(
    prefix: str, deployed: BootingCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sites, "SECONDS", 0)
    deployed.looks = [health()]
    deployed.answers["Action=DescribeScalingActivities"] = REFUSED
    with pytest.raises(CommandError, match=r"EC2 says: .*vCPU capacity.* raise it in the Service Quotas console"):
        run_provision(prefix, *arguments())


def test_sites_without_a_line_are_said_to_have_none(
    prefix: str, deployed: BootingCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sites, "SECONDS", 0)
    deployed.looks = [health()]
    with pytest.raises(CommandError, match=r"not healthy after 0 minutes: none yet.*\n  nothing: their containers"):
        run_provision(prefix, *arguments())


def test_alarms_are_made_once_the_metric_has_a_point(prefix: str, deployed: BootingCloud) -> None:
    service, said = Service(prefix), list[str]()
    deployed.publishes = f"{prefix}-yolo5"
    cloudformation.delete(service.stack("alarms"), lambda event: None)
    values = {one.partition("=")[0]: one.partition("=")[2] for one in arguments() if "=" in one}
    done = provision.deploy(service, values, say=lambda text: said.append(f"{text} {len(statuses(prefix))}"))
    assert said == ["waiting for the first point of the metric, before its alarm is made 7"]
    assert deployed.asked.count("GetMetricData") == 2
    assert done[f"{prefix}-alarms"] == "created"
