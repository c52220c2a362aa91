"""Run what the command line asks for, and show how far it is."""

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

from django.conf import settings
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TimeElapsedColumn

from deploy.local import sample
from deploy.local.processes import ChildFailed
from deploy.local.stack import LocalStack
from detection.model import weights
from tests.bench import photos
from tests.bench.designs import DESIGNS, SETTINGS, Design, variant, with_square
from tests.bench.report import Result
from tests.bench.runs import Bench, Run

FOLDER = settings.BASE_DIR / "var" / "bench"


def run(description: str) -> None:
    """Measure what the command line asks for, and print it."""
    options = _options(description)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    designs = [DESIGNS["bare"], *_variants(options.sweep)] if options.sweep else [DESIGNS[it] for it in options.designs]
    if options.square:
        designs = [it for design in designs for it in with_square(design, options.square)]
    try:
        result = _measure(options, designs)
    except KeyboardInterrupt:
        sys.exit("Stopped: nothing was saved.")
    except (weights.WeightsMissing, ChildFailed) as error:
        sys.exit(str(error))
    file = FOLDER / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    result.save(file, vars(options))
    _say(result, options, file)


def _measure(options: argparse.Namespace, designs: list[Design]) -> Result:
    """Run everything, showing how far it is."""
    plan = list(product(range(1, options.rounds + 1), options.settings, designs))
    idle = options.idle_seconds > 0 and not options.sweep
    console = Console(stderr=True, highlight=False)
    columns = (SpinnerColumn(), "{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    runs: list[Run] = []
    receives = None
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("starting", total=len(plan) + idle)
        with _bench(options, lambda text: progress.update(bar, description=text)) as bench:
            for number, setting, design in plan:
                progress.update(bar, description=f"round {number}, {setting}: {design.name}")
                runs.append(bench.measure(design, SETTINGS[setting], options.jobs, number))
                progress.advance(bar)
                console.print(_line(runs[-1]), soft_wrap=True)
            if idle:
                progress.update(bar, description=f"a worker without work for {options.idle_seconds:g} s")
                receives = bench.idle_receives(DESIGNS["worker"], SETTINGS["emulator"], options.idle_seconds)
                progress.advance(bar)
    return Result(runs, receives)


@contextmanager
def _bench(options: argparse.Namespace, step: Callable[[str], None]) -> Iterator[Bench]:
    """Start the local AWS with the photos in it; end it however the block ends."""
    step("preparing the model")
    stack = LocalStack(FOLDER / "stack", str(weights.ready(options.weights)), step)
    # What ultralytics would do by itself, for the designs that load it without our `weights`.
    stack.env |= {"YOLO_CONFIG_DIR": str(settings.CACHE_DIR), "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
    try:
        stack.start_aws()
        stack.provision()
        stack.adopt("IMAGES_BUCKET", "PREDICTIONS_TABLE")
        yield Bench(stack, FOLDER, photos.lay_out(FOLDER / "photos", options.photos, options.weights))
    finally:
        stack.children.stop()


def _line(run: Run) -> str:
    return (
        f"round {run.round}  {run.setting:9} {run.design:24} {run.jobs_per_s:6.1f} jobs/s {run.cpu_ms_per_job:6.1f} ms "
        f"{run.pss_mb:6.0f} MB  first job {run.first_job_s:4.1f} s  others {run.others_share:4.0%}"
    )


def _say(result: Result, options: argparse.Namespace, file: Path) -> None:
    """Print the tables, as Markdown that can be pasted."""
    weights = f"Weights: {Path(options.weights).name}"
    parts = [f"{name}: {SETTINGS[name].sentence} {weights}.\n\n{result.table(name)}" for name in options.settings]
    sys.stdout.write("\n\n".join([*parts, *result.notes(), f"Single measurements: {file}"]) + "\n")


def _options(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each design in each setting (default 3)")
    parser.add_argument(
        "--jobs", type=int, default=240, help="photos in one measurement; loop and defaults get fewer (default 240)"
    )
    parser.add_argument("--designs", nargs="+", choices=DESIGNS, default=list(DESIGNS), help="default: all")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS), help="default: both")
    parser.add_argument(
        "--weights", default=sample.repeatable(), help="default: YOLO_WEIGHTS, else the committed model of shapes"
    )
    parser.add_argument(
        "--square",
        default="",
        metavar="WEIGHTS",
        help="an export of the same weights for the square alone: all run it but the worker, which runs both",
    )
    parser.add_argument("--photos", type=Path, help="a folder of JPEG or PNG files (default: what suits the weights)")
    parser.add_argument(
        "--idle-seconds",
        type=float,
        default=60,
        help="for how long to count an idle worker's receives (default 60)",
    )
    parser.add_argument(
        "--sweep",
        nargs="+",
        metavar="NAME=V1,V2",
        help="measure the worker with other slots and variables",
    )
    return parser.parse_args()


def _variants(sweep: list[str]) -> list[Design]:
    """Return a worker for each combination of the values, named after it."""
    names = [part.partition("=")[0] for part in sweep]
    designs = []
    for values in product(*(part.partition("=")[2].split(",") for part in sweep)):
        chosen = {name: value for name, value in zip(names, values, strict=True) if value}
        slots = chosen.pop("slots", None)
        title = " ".join([*([f"slots={slots}"] if slots else []), *(f"{name}={it}" for name, it in chosen.items())])
        designs.append(variant(title or "as shipped", slots, chosen))
    return designs
