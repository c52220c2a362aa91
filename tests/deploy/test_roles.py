"""The role of each service: enough for all it does, and nothing that it could do without."""

import copy
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from botsite import aws
from deploy import provision, stacks
from deploy.cfn import template
from deploy.images import spec
from deploy.service import Service
from tests.support import judged
from tests.support.deployed import instance_settings
from tests.support.mutants import mutants
from tests.support.permissions import MAY, MAY_ANYWHERE, NOBODY

ROOT = Path(__file__).parents[2]
PREFIX = "machines"
STACK_OF = {"polybot": "web", "yolo5": "workers", "metrics": "metrics", "bake": "bake"}
OUTPUT_OF = {role: f"{role.capitalize()}RoleArn" for role in STACK_OF}
BATCHED = ("sqs:SendMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility")
DENIED = re.compile("AccessDenied|Forbidden|may not do")
OLD = "2020-01-01T00:00:00.000Z"

each_role = pytest.mark.parametrize("role", STACK_OF)


class Neighbourhood(BaseHTTPRequestHandler):
    """What a machine finds next to AWS: its metadata, which announces its termination, and a site that answers."""

    def do_GET(self) -> None:
        """Answer a call, or a question for metadata."""
        answers = {
            "/latest/meta-data/instance-id": "i-1",
            "/latest/meta-data/autoscaling/target-lifecycle-state": "Terminated",
        }
        body = answers.get(self.path, "").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_GET

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@dataclass
class Cloud:
    """An emulated AWS that looks at permissions."""

    url: str
    neighbour: str
    values: dict[str, str]

    def __post_init__(self) -> None:
        self._policies = {role: self._policy(role) for role in STACK_OF}

    def arn(self, role: str) -> str:
        return Service(PREFIX).stack(STACK_OF[role]).outputs[OUTPUT_OF[role]]

    def policy(self, role: str) -> dict[str, Any]:
        """Return the role's own policy as it was deployed, without what the emulator cannot judge."""
        return copy.deepcopy(self._policies[role])

    def _policy(self, role: str) -> dict[str, Any]:
        document = aws.client("iam").get_role_policy(RoleName=self.name(role), PolicyName=role)["PolicyDocument"]
        for statement in document["Statement"]:
            # The emulator knows no cloudwatch:namespace, and so would deny.
            statement.pop("Condition", None)
        return dict(document)

    def permit(self, role: str, document: dict[str, Any]) -> None:
        """Give the role a policy; where AWS has one action for a call and its batch, the emulator has two."""
        document = copy.deepcopy(document)
        for statement in document["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            statement["Action"] = [*actions, *(f"{action}Batch" for action in actions if action in BATCHED)]
        aws.client("iam").put_role_policy(
            RoleName=self.name(role), PolicyName=role, PolicyDocument=json.dumps(document)
        )

    def name(self, role: str) -> str:
        return self.arn(role).rpartition("/")[2]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Given the service on an AWS with TLS, which the bucket's policy demands."""
    with ExitStack() as stack:
        stack.enter_context(judged.running(tmp_path_factory.mktemp("tls")))
        server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Neighbourhood))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        provision.deploy(Service(PREFIX))
        values = Service(PREFIX).environment()
        token = values["TELEGRAM_TOKEN_SECRET"]
        aws.client("secretsmanager").put_secret_value(SecretId=token, SecretString="123456789:" + "x" * 35)
        yield Cloud(settings.AWS_ENDPOINT_URL, f"http://127.0.0.1:{server.server_port}", values)


@contextmanager
def running(cloud: Cloud, role: str) -> Iterator[subprocess.Popen[str]]:
    """Run the role's workload, as on one of its machines, on credentials of its role."""
    given = aws.client("sts").assume_role(RoleArn=cloud.arn(role), RoleSessionName="test")["Credentials"]
    env = {
        "PATH": os.environ["PATH"],
        "AWS_CA_BUNDLE": os.environ["AWS_CA_BUNDLE"],
        "DJANGO_SETTINGS_MODULE": "botsite.settings",
        **(of_builder() if role == "bake" else instance_settings(PREFIX, role)),
        "AWS_ENDPOINT_URL": cloud.url,
        "POLYBOT_URL": cloud.neighbour,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": cloud.neighbour,
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
    }
    command = [sys.executable, "-m", "tests.support.workloads", role]
    with subprocess.Popen(
        command, cwd=ROOT, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def of_builder() -> dict[str, str]:
    """Return what a builder tells its container of the service, as deploy/docker/bake.sh does."""
    where = spec.place(Service(PREFIX))
    queues = dict.fromkeys(("JOBS_QUEUE_URL", "METRICS_QUEUE_URL"), where.queue_url)
    return {"AWS_REGION": "us-east-1", "IMAGES_BUCKET": where.bucket, **queues}


def trouble(cloud: Cloud, process: subprocess.Popen[str]) -> str:
    """Do the role's work once; return what went wrong, empty if nothing did."""
    seed(cloud)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("again\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def seed(cloud: Cloud) -> None:
    """Lay out what the work finds: a job, a dead letter, and a prediction in each kind of trouble."""
    values, sqs = cloud.values, aws.client("sqs")
    for url in (values["JOBS_QUEUE_URL"], f"{values['JOBS_QUEUE_URL']}-dlq", values["METRICS_QUEUE_URL"]):
        sqs.purge_queue(QueueUrl=url)
    body = json.dumps(
        {"body": json.dumps([[], {"prediction_id": "dead"}, {}]), "headers": {"task": "detection.detect"}}
    )
    for url in (values["JOBS_QUEUE_URL"], f"{values['JOBS_QUEUE_URL']}-dlq"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    bucket = values["IMAGES_BUCKET"]
    for key in ("photos/seeded", "results/seeded.jpg"):
        aws.client("s3").put_object(Bucket=bucket, Key=key, Body=b"x")
    states = {"seeded": "queued", "dead": "queued", "queued": "queued", "stuck": "processing", "finished": "succeeded"}
    puts = []
    for identity, status in states.items():
        item = {"prediction_id": identity, "image_key": f"photos/{identity}", "status": status, "delivery": "pending"}
        times = dict.fromkeys(("created_at", "enqueued_at", "started_at", "finished_at"), OLD)
        numbers = {"chat_id": 7, "message_id": 1, "attempts": 0}
        puts.append({"PutRequest": {"Item": {**item, **times, **numbers}}})
    aws.dynamodb().batch_write_item(RequestItems={values["PREDICTIONS_TABLE"]: puts})


@each_role
@pytest.mark.slow
def test_role_suffices_for_its_service(cloud: Cloud, role: str) -> None:
    cloud.permit(role, cloud.policy(role))
    with running(cloud, role) as process:
        assert trouble(cloud, process) == ""


@each_role
@pytest.mark.slow
def test_role_permits_nothing_unneeded(cloud: Cloud, role: str) -> None:
    whole = cloud.policy(role)
    survivors = []
    with running(cloud, role) as process:
        for name, mutant in mutants(whole):
            cloud.permit(role, mutant)
            # A workload that fails by something else says nothing about the permission.
            if not DENIED.search(wrong := trouble(cloud, process)):
                survivors.append((name, wrong))
    cloud.permit(role, whole)
    assert survivors == []


def resources() -> dict[str, str]:
    """Return the ARNs of all that there is, and of things of the same kind that are somebody else's, by name."""
    region = "us-east-1:000000000000"
    table = f"arn:aws:dynamodb:{region}:table/{PREFIX}-predictions"
    bucket = f"arn:aws:s3:::{PREFIX}-images-000000000000-us-east-1"
    secrets = {one["Name"]: one["ARN"] for one in aws.client("secretsmanager").list_secrets()["SecretList"]}
    names = {"results-key": 0, "django-key": 0, "webhook-secret": 0, "admin-password": 0}
    return {
        **{name: f"arn:aws:sqs:{region}:{PREFIX}-{name}" for name in ("jobs", "jobs-dlq", "metrics-dlq", "else")},
        "ticks": f"arn:aws:sqs:{region}:{PREFIX}-metrics",
        "bake": f"arn:aws:sqs:{region}:{PREFIX}-bake",
        "bucket": bucket,
        "photo": f"{bucket}/photos/1",
        "result": f"{bucket}/results/1.jpg",
        "source": f"{bucket}/bakes/1",
        "other bucket": "arn:aws:s3:::else",
        "other photo": "arn:aws:s3:::else/photos/1",
        "table": table,
        **{name: f"{table}/index/{name}" for name in ("by_chat", "by_status", "by_delivery", "by_time")},
        "other table": f"arn:aws:dynamodb:{region}:table/else",
        "other secret": f"arn:aws:secretsmanager:{region}:secret:else/token-abcdef",
        **{name: secrets[f"{PREFIX}/{name}"] for name in names},
        "token": secrets[f"{PREFIX}/telegram-token"],
        **{f"{role}-group": group(f"{PREFIX}-{role}") for role in STACK_OF},
        "other group": group("else"),
        **{f"{role}-logs": f"arn:aws:logs:{region}:log-group:/{PREFIX}/{role}:log-stream:1" for role in STACK_OF},
        "repository": f"arn:aws:ecr:{region}:repository/any",
        "other logs": f"arn:aws:logs:{region}:log-group:/else:log-stream:1",
    }


def group(name: str) -> str:
    return f"arn:aws:autoscaling:us-east-1:000000000000:autoScalingGroup:1-2:autoScalingGroupName/{name}"


@each_role
@pytest.mark.slow
def test_role_is_denied_everything_else(cloud: Cloud, role: str) -> None:
    cloud.permit(role, cloud.policy(role))
    actions = sorted({*NOBODY, *(action for one in MAY.values() for action in one)})
    allowed: dict[str, set[str]] = {}
    for name, arn in resources().items():
        answer = aws.client("iam").simulate_principal_policy(
            PolicySourceArn=cloud.arn(role), ActionNames=actions, ResourceArns=[arn]
        )
        for one in answer["EvaluationResults"]:
            if one["EvalDecision"] == "allowed":
                allowed.setdefault(one["EvalActionName"], set()).add(name)
    assert allowed == MAY[role]


@each_role
def test_role_has_only_needed_wildcard_actions(cloud: Cloud, role: str) -> None:
    cloud.permit(role, cloud.policy(role))
    every = sorted(set[str]().union(*MAY_ANYWHERE.values()))
    answer = aws.client("iam").simulate_principal_policy(PolicySourceArn=cloud.arn(role), ActionNames=every)
    allowed = {one["EvalActionName"] for one in answer["EvaluationResults"] if one["EvalDecision"] == "allowed"}
    assert allowed == MAY_ANYWHERE[role]


def test_builders_script_calls_only_tested_actions() -> None:
    script = (ROOT / "deploy" / "docker" / "bake.sh").read_text()
    assert set(re.findall(r"\baws ([a-z0-9]+ [a-z-]+)", script)) == {"s3 cp", "ecr get-login-password"}


def test_metric_is_published_only_in_its_namespace() -> None:
    """As configuration: the emulator does not know this condition."""
    text = template.read(stacks.TEMPLATES / "metrics.yaml")
    statements = text.all_resources["MetricsRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    publish = next(one for one in statements if one["Action"] == "cloudwatch:PutMetricData")
    assert publish["Condition"] == {"StringEquals": {"cloudwatch:namespace": {"Ref": "MetricNamespace"}}}
