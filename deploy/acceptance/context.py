"""What the steps of a run share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from deploy.acceptance.camera import Camera
from deploy.acceptance.places import Place, Say
from deploy.acceptance.plan import Options
from deploy.acceptance.results import Measure
from deploy.provision import Order
from deploy.service import Service


@dataclass
class Context:
    """One run. `say` shows what a step does just now; `answered` counts the photos that got a result."""

    options: Options
    order: Order
    place: Place
    say: Say
    camera: Camera = field(init=False)
    answered: int = 0
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.camera = Camera(self.options, self.place, self.say)

    @property
    def service(self) -> Service:
        """Return the run's own service."""
        return self.order.service


# Yields measurements as they are made; raises StepFailed, or NotKnownHere where this place can't tell.
Do = Callable[[Context], Iterator[Measure]]


@dataclass(frozen=True)
class Step:
    """A step of a run; it makes sense if the steps it needs went well."""

    name: str
    title: str
    do: Do
    needs: tuple[str, ...] = ("provision",)
