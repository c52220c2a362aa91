"""The service of a bot that is polled: the local AWS, one site, one worker that stays, and the metricStreamer.

One worker answers at once and costs a laptop nothing while it is idle, whereas starting one for each photo would take
seconds; and the demo's scaled Auto Scaling would look at metrics every other second.
"""

from dataclasses import dataclass, field
from functools import partial
from itertools import count

from django.conf import settings

from botsite.roles import YOLO5
from deploy.local import roles
from deploy.local.poll.lanes import Webhook
from deploy.local.processes import Child, free_port
from deploy.local.stack import LocalStack, answers
from deploy.webhook import registration

_HOST = "127.0.0.1"


@dataclass
class PollStack(LocalStack):
    """The running service of the bot with `token`, which only the site gets: the local AWS asks for no password."""

    token: str = field(default="", repr=False)
    hosts: tuple[str, ...] = (_HOST,)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._restarts = count(1)
        self._port = free_port(_HOST)
        self.env |= {
            "TELEGRAM_TOKEN": "",
            "TELEGRAM_API_URL": settings.TELEGRAM_API_URL,
            "POLYBOT_URL": self.address,
            # No group starts this worker, so nothing can tell how long a start takes; and there is hardly a wait.
            "ACKNOWLEDGE": "off",
            "METRIC_PERIOD_SECONDS": "30",
        }

    @property
    def address(self) -> str:
        """Return where the site is."""
        return f"http://{_HOST}:{self._port}"

    @property
    def webhook(self) -> Webhook:
        """Return where the site takes updates."""
        return Webhook(f"{self.address}{registration.PATH}", self.env["TELEGRAM_WEBHOOK_SECRET"])

    def start_telegram(self) -> None:
        """Leave Telegram to Telegram."""

    def start_front(self) -> None:
        """Do without a load balancer: there is one site."""
        self._key.unlink()
        # What the stacks say is the emulator's.
        self.env["POLYBOT_URL"] = self.address

    def set_webhook(self) -> None:
        """Set none: updates are polled."""

    def start_sites(self) -> None:
        """Start the one site."""
        self.start_site(_HOST, self._port, TELEGRAM_TOKEN=self.token)

    def restart_ended(self) -> list[str]:
        """Start what has ended by itself again; return the names."""
        ended: list[Child] = []
        for site in [one for one in self.sites if not one.running]:
            del self.sites[site]
            self.start_sites()
            ended.append(site)
        for worker in [one for one in self.workers if not one.running]:
            self.workers.remove(worker)
            ended.append(worker)
            name = f"yolo5-again-{next(self._restarts)}"
            self.workers.append(self.children.start(name, roles.celery(YOLO5, name), self.env))
        if not self.metrics.running:
            ended.append(self.metrics)
            self.start_metrics()
        return [child.name for child in ended]

    def start_roles(self) -> None:
        """Start each role once, and wait until they work."""
        self.step("starting the site, the worker and the metric")
        self.start_sites()
        name = "yolo5-1"
        self.workers.append(self.children.start(name, roles.celery(YOLO5, name), self.env))
        self.start_metrics()
        for child in [*self.workers, self.metrics]:
            child.wait_ready(partial(child.said, roles.READY))
        for site in self.sites:
            site.wait_ready(partial(answers, f"{self.address}/readyz"))
