"""Send photos, watch the workers come and go."""

import math
import time
from collections.abc import Callable, Iterator

from deploy.acceptance import results
from deploy.acceptance.context import Context
from deploy.acceptance.results import Measure, StepFailed
from deploy.loadtest import report
from deploy.loadtest.follow import Run
from deploy.loadtest.gauges import Gauges, Sample

_FIRST_SECONDS, _BURST_SECONDS, _SCALE_IN_SECONDS = 20 * 60, 30 * 60, 60 * 60


def from_zero(run: Context) -> Iterator[Measure]:
    """Send a photo while no worker runs."""
    done = run.camera.shoot([0.0], _FIRST_SECONDS)
    yield from scaling(done)
    yield from start(done, "boot")
    yield from answers(run, done)


def again(run: Context) -> Iterator[Measure]:
    """Send another one after scale-in: a warm pool has machines for it by now."""
    done = run.camera.shoot([0.0], _FIRST_SECONDS)
    pooled = run.options.parameters.get("WarmMachines", "0") != "0"
    if not pooled:
        yield results.unknown("resume from a warm pool", "it is off; --parameter WarmMachines=1 turns it on")
    yield from start(done, "resume from a warm pool" if pooled else "boot")
    yield from answers(run, done)


def burst(run: Context) -> Iterator[Measure]:
    """Send many at once."""
    done = run.camera.shoot([0.0] * run.options.photos, _BURST_SECONDS)
    yield from scaling(done)
    yield Measure("workers at most", _most(done, lambda sample: sample.in_service), "machines")
    yield Measure("backlog at most", _most(done, lambda sample: sample.backlog), "jobs")
    yield from answers(run, done)


def scale_in(run: Context) -> Iterator[Measure]:
    """Wait until the group is empty again."""
    gauges, began = Gauges(run.place.known()), time.monotonic()
    give_up_at = began + run.place.patience(_SCALE_IN_SECONDS)
    wanted: float | None = None
    while time.monotonic() < give_up_at:
        now = gauges.read().numbers
        if now.get("desired") == 0:
            wanted = time.monotonic() - began if wanted is None else wanted
        if wanted is not None and not any(now.get(name) for name in ("in_service", "pending", "leaving")):
            yield Measure("nobody wanted", wanted, "s", "after the last answer")
            yield Measure("nobody there", time.monotonic() - began, "s", "after the last answer")
            return
        run.say(f"{now.get('in_service')} of {now.get('desired')} workers, for {time.monotonic() - began:.0f} s")
        time.sleep(run.place.interval)
    raise StepFailed("the workers are still there")


def scaling(done: Run) -> Iterator[Measure]:
    """Say when the alarms rang."""
    rang: dict[str, float] = {}
    for sample in done.samples:
        for name, state in sample.alarms.items():
            if state == "ALARM":
                rang.setdefault(_short(name), sample.seconds)
    for name, seconds in rang.items():
        yield Measure(f"alarm {name}", seconds, "s", "after the first photo was sent")


def start(done: Run, what: str) -> Iterator[Measure]:
    """Say how long the first worker took, from the wish for it to its first job."""
    wanted = _first(done, lambda sample: bool(sample.desired))
    if wanted is None:
        return
    yield Measure("a worker wanted", wanted, "s", "after the photo was sent")
    if (there := _first(done, lambda sample: bool(sample.in_service))) is not None:
        yield Measure(f"{what}, until in service", there - wanted, "s")
    if (works := _first_job(done)) is not None:
        yield Measure(f"{what}, until the first job", works - wanted, "s")


def answers(run: Context, *shots: Run) -> Iterator[Measure]:
    """Say how long the answers took; raise StepFailed if one was lost or doubled."""
    tallies = [report.tally(shot.photos, waited=shot.waited) for shot in shots]
    waits = [wait for shot in shots for _, wait in report.latencies(shot.photos, report.clock_ahead(shot.photos))]
    answered, lost = sum(one.answered for one in tallies), sum(one.lost for one in tallies)
    run.answered += answered
    yield Measure("answered", answered, f"of {sum(one.sent for one in tallies)} photos")
    for name, seconds in report.percentiles(waits, (50, 95, 100) if len(waits) > 1 else (100,)).items():
        yield Measure("slowest answer" if name == "p100" else f"{name} to the answer", seconds, "s")
    doubled = [one.doubled for one in tallies if one.doubled is not None]
    if not doubled:
        yield results.unknown("doubled", "only who reads the chats can count answers")
    apologies = sum(one.apologies for one in tallies)
    if lost or any(doubled) or apologies:
        raise StepFailed(f"{lost} lost, {sum(doubled)} doubled, {apologies} apologies")


def _first(done: Run, is_so: Callable[[Sample], bool]) -> float | None:
    return next((sample.seconds for sample in done.samples if is_so(sample)), None)


def _first_job(done: Run) -> float | None:
    """Return when the first job was started, in seconds after the start of the run."""
    ahead = report.clock_ahead(done.photos)
    started = [one.prediction.started_at for one in done.photos if one.prediction and one.prediction.started_at]
    return min(at.timestamp() for at in started) - ahead - done.started_at if started else None


def _most(done: Run, number: Callable[[Sample], int | None]) -> float:
    return max((found for sample in done.samples if (found := number(sample)) is not None), default=math.nan)


def _short(name: str) -> str:
    """Return an alarm's name without the id that EC2 Auto Scaling gives its own."""
    return name[: name.index(kind) + len(kind)] if (kind := _kind(name)) else name


def _kind(name: str) -> str:
    return next((kind for kind in ("AlarmHigh", "AlarmLow") if kind in name), "")
