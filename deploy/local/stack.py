"""Run the whole service on this machine: ministack for AWS, a fake Telegram, two sites behind an ALB, workers.

The demo and the tests run the same stack. What is deployed, and how each role is started, is what AWS gets.
"""

import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
from django.conf import settings

from botsite import aws, language, logs, secret_store
from botsite.roles import METRIC_STREAMER, YOLO5
from deploy import provision
from deploy.certificates import self_signed
from deploy.local import ministack, roles
from deploy.local.processes import BOTTOM, MIDDLE, Child, Children, free_port, listening
from deploy.local.roles import script as script
from deploy.service import Service
from deploy.webhook import profile, registration
from detection.model import weights

PREFIX = "objdet"
SERVICE = Service(PREFIX)
REGION = "us-east-1"
# Each site has its own loopback address: ministack tells an ALB's targets apart by host alone.
SITE_HOSTS = ("127.0.0.1", "127.0.0.2")
Step = Callable[[str], None]


@dataclass
class LocalStack:
    """The running service. `env` is every role's environment; `step(text)` is called with what is being done.

    `polybot_url` stands for port 80 of the load balancer, `public_url` for its port 443.
    """

    folder: Path
    weights: str
    step: Step = lambda text: None
    on_line: Callable[[str, str], None] = lambda name, line: None
    time_scale: float = 1.0
    # Template parameters, as `provision --parameter` takes them.
    parameters: Mapping[str, str] = field(default_factory=dict)
    service: Service = SERVICE
    hosts: tuple[str, ...] = SITE_HOSTS
    env: dict[str, str] = field(default_factory=dict, repr=False)
    endpoint: str = ""
    telegram_url: str = ""
    polybot_url: str = ""
    public_url: str = ""
    sites: dict[Child, str] = field(default_factory=dict)
    workers: list[Child] = field(default_factory=list)
    metrics: Child = field(init=False)

    def __post_init__(self) -> None:
        self.children = Children(self.folder / "logs", self.on_line)
        self.env = {**os.environ, "TELEGRAM_TOKEN": _token(), "YOLO_WEIGHTS": self.weights, "AWS_REGION": REGION}
        # The roles' images lack AWS's CRT too: only operators need it, and a site that uses it needs more memory.
        self.env["BOTO_DISABLE_CRT"] = "true"
        self.env |= {
            "DJANGO_ALLOWED_HOSTS": ",".join(self.hosts),
            "ADMIN_USER": "admin",
            "PYTHONUNBUFFERED": "1",
            "DATABASE_URL": f"sqlite:///{self.folder / 'admin.sqlite3'}",
            "LOG_FOLDER": str(self.folder.absolute() / "logs"),
        }

    @contextmanager
    def running(self) -> Iterator["LocalStack"]:
        """Start everything, and end it all when the block ends, however it ends.

        Raise WeightsMissing before starting anything if there is no model.
        """
        weights.check(self.weights)
        try:
            shutil.rmtree(self.folder / "logs", ignore_errors=True)
            for old in self.folder.glob("admin*.sqlite3"):
                old.unlink()
            self.start_aws()
            self.start_telegram()
            self.provision()
            self.start_front()
            self.start_roles()
            self.set_webhook()
            yield self
        finally:
            self.stop()

    @property
    def certificate(self) -> Path:
        """Return the file of the load balancer's self-signed certificate."""
        return self.folder / "certificate.pem"

    @property
    def _key(self) -> Path:
        return self.folder / "certificate.key"

    def start_roles(self) -> None:
        """Start a fixed number of processes of each role, and wait until they work."""
        self.start_sites()
        self.start_worker()
        self.start_metrics()
        self.step("waiting for the sites, and for the worker to load its model")
        for site, address in self.sites.items():
            site.wait_ready(partial(answers, f"{address}/readyz"))
        for worker in [*self.workers, self.metrics]:
            worker.wait_ready(partial(worker.said, roles.READY))

    def stop(self) -> None:
        """End everything."""
        self.children.stop()

    def start_aws(self) -> None:
        """Start the emulator, and point this process at it too."""
        port = free_port()
        self.step(f"starting the local AWS (ministack) on port {port}")
        self.endpoint = f"http://127.0.0.1:{port}"
        self.env |= {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        child = self.children.start("ministack", ministack.COMMAND, self.env | ministack.environment(port), BOTTOM)
        child.wait_ready(lambda: listening("127.0.0.1", port))
        self.adopt("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")

    def start_telegram(self) -> None:
        """Start the fake Telegram, with its chat page."""
        port = free_port()
        self.step(f"starting the fake Telegram on port {port}")
        self.telegram_url = f"http://127.0.0.1:{port}"
        self.env["TELEGRAM_API_URL"] = self.telegram_url
        command = ["-m", "deploy.local.telegram", "--port", str(port), "--time-scale", str(self.time_scale)]
        child = self.children.start("telegram", [sys.executable, *command], self.env, BOTTOM)
        child.wait_ready(lambda: listening("127.0.0.1", port))

    def provision(self) -> None:
        """Deploy the templates, and read what the roles need from the stacks."""
        self.step("provisioning with CloudFormation")
        pair = self_signed.make("localhost", datetime.now(UTC))
        imported = aws.client("acm").import_certificate(Certificate=pair.certificate, PrivateKey=pair.key)
        ours = {"CertificateArn": imported["CertificateArn"], "OperatorCidr": "127.0.0.1/32"}
        described = self.deploy({**self.parameters, **ours})
        self.folder.mkdir(parents=True, exist_ok=True)
        self.certificate.write_bytes(pair.certificate)
        self._key.touch(mode=0o600)
        self._key.write_bytes(pair.key)
        self.env |= described
        if token := self.env["TELEGRAM_TOKEN"]:
            aws.client("secretsmanager").put_secret_value(
                SecretId=self.env["TELEGRAM_TOKEN_SECRET"], SecretString=token
            )
        self.env |= secret_store.read(self.env["SERVICE_SECRETS"].split(","), REGION, self.endpoint)
        # Ids are derived with the first key.
        self.env["PREDICTION_ID_KEY"] = self.env["RESULTS_KEY"]

    def deploy(self, values: Mapping[str, str]) -> dict[str, str]:
        """Deploy the templates with these parameters; return what the roles need from the stacks."""
        provision.deploy(self.service, values)
        return self.service.environment()

    def start_front(self) -> None:
        """Start what stands in for the load balancer's name and ports."""
        name = self.service.stack("web").outputs["BalancerDnsName"]
        http, https = free_port(), free_port()
        command = ["-m", "deploy.local.balancer", "--endpoint", self.endpoint, "--name", name]
        command += ["--http", str(http), "--https", str(https)]
        # ministack speaks plain HTTP, whatever the listener.
        command += ["--certificate", str(self.certificate), "--key", str(self._key)]
        child = self.children.start("balancer", [sys.executable, *command], self.env, BOTTOM)
        child.wait_ready(lambda: listening("127.0.0.1", https))
        self._key.unlink()
        self.polybot_url, self.public_url = f"http://127.0.0.1:{http}", f"https://localhost:{https}"
        self.env["POLYBOT_URL"] = self.polybot_url
        # No name server knows the load balancer's name: `set_webhook` has to register this instead.
        self.env["TELEGRAM_WEBHOOK_URL"] = f"{self.public_url}{registration.PATH}"
        self.env["DJANGO_ALLOWED_HOSTS"] += f",{name}"

    def start_sites(self) -> None:
        """Start one site on each host, as targets of the load balancer."""
        self.step(f"starting {len(self.hosts)} sites behind an Application Load Balancer")
        addresses = [(host, free_port(host)) for host in self.hosts]
        aws.client("elbv2").register_targets(
            TargetGroupArn=self.service.stack("web").outputs["TargetGroupArn"],
            Targets=[{"Id": host, "Port": port} for host, port in addresses],
        )
        for host, port in addresses:
            self.start_site(host, port)

    def start_site(self, host: str, port: int, **env: str) -> Child:
        """Start a site; it is ready when its `/readyz` says so."""
        # As on AWS, each instance has its own logins, created when it starts.
        env = {"DATABASE_URL": f"sqlite:///{self.logins(host, port)}", **env}
        name = f"polybot-{len(self.sites) + 1}"
        site = self.children.start(name, roles.site(host, port), self.env | env, MIDDLE)
        self.sites[site] = f"http://{host}:{port}"
        return site

    def logins(self, host: str, port: int) -> Path:
        """Return the database of logins of the site at this address."""
        return self.folder / f"admin-{host}-{port}.sqlite3"

    def start_worker(self, **env: str) -> Child:
        """Start a worker; it is ready when it has said so."""
        self.step("starting a worker")
        name = f"yolo5-{len(self.workers) + 1}"
        self.workers.append(self.children.start(name, roles.celery(YOLO5, name), self.env | env))
        return self.workers[-1]

    def start_metrics(self) -> Child:
        """Start the metricStreamer, which also finishes what a crash left half done."""
        self.metrics = self.children.start("metrics", roles.celery(METRIC_STREAMER, "metrics"), self.env)
        return self.metrics

    def set_webhook(self) -> None:
        """Have Telegram send updates to the load balancer."""
        self.step("registering the webhook")
        self.adopt("TELEGRAM_API_URL")
        secrets = (self.env["TELEGRAM_TOKEN"], self.env["TELEGRAM_WEBHOOK_SECRET"])
        registration.register(self.env["TELEGRAM_WEBHOOK_URL"], *secrets, self.certificate.read_bytes())
        profile.publish(self.env["TELEGRAM_TOKEN"], language.available())

    def adopt(self, *names: str) -> None:
        """Set these variables of the stack in this process too: its settings are older than the stack."""
        for name in names:
            os.environ[name] = self.env[name]
            if hasattr(settings, name):
                setattr(settings, name, self.env[name])


def _token() -> str:
    """Make up a bot token for this run."""
    token = f"{secrets.randbelow(10**9) + 10**9}:{secrets.token_urlsafe(26)}"
    logs.hide(token)
    return token


def answers(url: str) -> bool:
    """Return whether an address answers with success."""
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False
