"""The steps of a run, in order."""

from deploy.acceptance.context import Step
from deploy.acceptance.steps import end, ends, looks, made, photos, refresh

_WORKERS = ("provision", "from-zero")
STEPS = (
    Step("provision", "provision", made.provision, needs=()),
    Step("from-zero", "a photo, from zero workers", photos.from_zero),
    Step("burst", "a burst of photos", photos.burst, _WORKERS),
    Step("memory", "memory of a busy worker", looks.memory, _WORKERS),
    Step("scale-in", "scale-in to zero", photos.scale_in, _WORKERS),
    Step("again", "a photo, from zero again", photos.again, (*_WORKERS, "scale-in")),
    Step("refresh", "instance refresh under load", refresh.under_load, _WORKERS),
    Step("killed-worker", "a worker is killed", ends.killed_worker, _WORKERS),
    Step("chart", "the ops page's chart of 3 hours", looks.chart),
    Step("events", "metrics from log lines (EMF)", looks.events, _WORKERS),
    Step("doctor", "doctor", looks.doctor),
    Step("logs", "logs", looks.logs),
    Step("cost", "cost", looks.cost),
)
TEARDOWN = Step("teardown", "teardown", end.teardown, needs=())
NAMES = tuple(step.name for step in STEPS)
