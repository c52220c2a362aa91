"""Run the service on this machine as Auto Scaling groups of processes: workers start when there is work."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from django.conf import settings

from botsite import standby
from botsite.roles import METRIC_STREAMER, POLYBOT, YOLO5
from deploy.local import roles
from deploy.local.autoscaling.capacity import Fleet
from deploy.local.autoscaling.controller import AutoScaling
from deploy.local.autoscaling.credentials import on_instance
from deploy.local.autoscaling.instances import Instance, Role, Times
from deploy.local.processes import MIDDLE, PATIENCE_SECONDS, Child, ChildFailed, wait_until
from deploy.local.sites import Sites
from deploy.local.stack import LocalStack
from deploy.local.target_health import HealthChecks, Target
from deploy.service import OUTPUTS
from detection.record import times
from metrics.health import events

# A period of 30 s on AWS takes 2 s here.
TIME_SCALE = 1 / 15
# Until its process starts, in seconds of AWS. The process's own start is not scaled.
TIMES = Times(boot=15.0, resume=4.0)
# What a machine reads from Secrets Manager, what has another address with an emulator, and what is scaled.
_SECRETS = (
    "TELEGRAM_TOKEN",
    "TELEGRAM_WEBHOOK_SECRET",
    "RESULTS_KEY",
    "PREDICTION_ID_KEY",
    "DJANGO_SECRET_KEY",
    "ADMIN_PASSWORD",
)
_ADDRESSES = ("JOBS_QUEUE_URL", "METRICS_QUEUE_URL", "POLYBOT_URL")
_SCALED = ("METRIC_PERIOD_SECONDS", "KEEP_WARM_SECONDS")


@dataclass
class ScaledStack(LocalStack):
    """The running service: two sites, one metricStreamer, and as many workers as there is work for."""

    # Seconds here for one of waiting on AWS.
    scale: float = TIME_SCALE
    autoscaling: AutoScaling = field(init=False)
    health: HealthChecks | None = field(init=False, default=None)
    image: Child = field(init=False)
    # The worker on standby of each metric machine, by its id.
    standbys: dict[str, Child] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.env["METRIC_PERIOD_SECONDS"] = f"{30 * self.scale:g}"
        self.autoscaling = AutoScaling(self._report, self.scale, TIMES)

    def start_telegram(self) -> None:
        """Start the fake Telegram and, meanwhile, export the model, which on AWS is in the AMI."""
        super().start_telegram()
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "export_weights", "--weights", self.weights]
        self.image = self.children.start("image", command, self.env)

    def start_roles(self) -> None:
        """Run the three groups, and wait until the sites and the metricStreamer work."""
        self.env["KEEP_WARM_SECONDS"] = f"{float(self.env['KEEP_WARM_SECONDS']) * self.scale:g}"
        self.step(f"running the Auto Scaling groups (emulated: 1 s here is {1 / self.scale:g} s on AWS)")
        self.health = HealthChecks(self.service.stack("web").outputs["TargetGroupArn"], self.scale, self._report)
        metrics = Role(
            METRIC_STREAMER.short, self._start_metrics, _ready, leaves=self._end_standby, tend=self._tend_standby
        )
        fixed = [
            self.autoscaling.add(POLYBOT.group(self.service), Sites(self.health, self._start_site).role),
            self.autoscaling.add(METRIC_STREAMER.group(self.service), metrics),
        ]
        self.health.start()
        self.autoscaling.start()
        self.step("waiting for the sites and the metric; workers start when there is work")
        self._wait_for(fixed)
        self.step("exporting the model")
        self.image.wait_ready(self.image.succeeded)
        workers = Role(YOLO5.short, self._start_worker, _ready, prepared=_prepared)
        fleet = self.autoscaling.add(self.env["ASG_NAME"], workers, scales=True)
        if warm := int(self.parameters.get("WarmMachines", "0")):
            self.step(f"preparing {warm} machines, which are then stopped")
            self._wait_until(lambda: fleet.stopped == warm, f"prepared {warm} machines")
        if self.parameters.get("StandbyWorker") == "on":
            self.step("waiting for the worker on standby")
            self._wait_until(lambda: standby.heard(self.env["PREDICTIONS_TABLE"]), "the worker on standby heard from")

    def raise_trouble(self) -> None:
        """Raise ChildFailed if the model cannot be exported or an instance ends every time it is started."""
        if not self.image.running:
            self.image.wait_ready(self.image.succeeded)
        for fleet in self.autoscaling.fleets.values():
            if fleet.trouble:
                raise ChildFailed(fleet.trouble)

    def stop(self) -> None:
        """End everything, starting with what would restart it."""
        self.autoscaling.stop()
        if self.health:
            self.health.stop()
        super().stop()

    def _wait_for(self, fleets: list[Fleet]) -> None:
        names = ", ".join(fleet.name for fleet in fleets)
        self._wait_until(lambda: all(fleet.in_service for fleet in fleets), f"in service: {names}")

    def _wait_until(self, condition: Callable[[], bool], what: str) -> None:
        def look() -> bool:
            self.raise_trouble()
            return condition()

        try:
            wait_until(look)
        except TimeoutError:
            raise ChildFailed(f"not within {PATIENCE_SECONDS:g} s: {what}") from None

    def _start_site(self, instance: Instance, target: Target) -> Child:
        env = self._env(instance)
        # Its own address, for a browser, and the emulator's, under which other commands call the load balancer.
        env["DJANGO_ALLOWED_HOSTS"] += f",{target.host},{urlsplit(self.endpoint).hostname}"
        env["DATABASE_URL"] = f"sqlite:///{self.logins(target.host, target.port)}"
        site = self.children.start(instance.name, roles.site(target.host, target.port), env, MIDDLE)
        running = {child: url for child, url in self.sites.items() if child.running}
        self.sites = {**running, site: f"http://{target.host}:{target.port}"}
        return site

    def _start_metrics(self, instance: Instance) -> Child:
        return self.children.start(instance.name, roles.celery(METRIC_STREAMER, instance.name), self._env(instance))

    def _tend_standby(self, instance: Instance) -> None:
        """Start the machine's worker on standby, if it has one, again and again, as systemd does; once it can."""
        running = self.standbys.get(instance.instance_id)
        if instance.settings["STANDBY_WORKER"] == "off" or self.image.running or (running and running.running):
            return
        name = f"standby-{instance.instance_id[-4:]}"
        env = self._env(instance) | {"LIVENESS_FILE": str(self.folder / "alive" / name)}
        self._report(f"{name} starts on {instance.name}")
        self.standbys[instance.instance_id] = self.children.start(name, roles.celery(YOLO5, name), env)

    def _end_standby(self, instance: Instance) -> None:
        if child := self.standbys.pop(instance.instance_id, None):
            child.terminate()

    def _start_worker(self, instance: Instance) -> Child:
        return self.children.start(instance.name, roles.celery(YOLO5, instance.name), self._env(instance))

    def _env(self, instance: Instance) -> dict[str, str]:
        """Return an instance's environment: the settings in its user data, and what differs on a laptop."""
        given_there = (*OUTPUTS, *_SECRETS)
        here = {name: value for name, value in self.env.items() if name not in given_there}
        # Empty, so that they come from Secrets Manager and not from this checkout's .env.
        there = {**dict.fromkeys(_SECRETS, ""), **instance.settings}
        ours = {name: self.env[name] for name in there if name in (*_ADDRESSES, *_SCALED)}
        # The processes of a machine share a liveness file; and logs are files here.
        here["STANDBY_WORKER"] = "off"
        files = {"LIVENESS_FILE": str(self.folder / "alive" / instance.name), "LOG_GROUP": "", "LOG_GROUPS": ""}
        return on_instance({**here, **there, **ours, **files}, instance.metadata_endpoint)

    def _report(self, text: str) -> None:
        now = datetime.now(UTC)
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        with (self.folder / "logs" / events.LOCAL).open("a") as log:
            log.write(f"{times.text(now)} {text}\n")
        self.on_line("scaling", f"{now:%H:%M:%S} {text}")


def _ready(instance: Instance) -> bool:
    return instance.child is not None and instance.child.said(roles.READY)


def _prepared(instance: Instance) -> bool:
    return instance.child is not None and instance.child.said(roles.WAITING)
