"""Turn single measurements into medians, ratios and tables."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from tests.bench.runs import Run

_YARDSTICKS = ("bare", "loop", "defaults", "defaults-1")
_QUIET_SHARE = 0.1


@dataclass(frozen=True)
class Result:
    """All that was measured. `idle_receives` is per minute, of our worker, or None if that was not asked for."""

    runs: Sequence[Run]
    idle_receives: float | None

    def table(self, setting: str) -> str:
        """Return the Markdown table of a setting: medians over the rounds; a ratio is the median of rounds' ratios."""
        runs = [run for run in self.runs if run.setting == setting]
        designs = list(dict.fromkeys(run.design for run in runs))
        yardsticks = [name for name in _YARDSTICKS if name in designs]
        head = ["design", "jobs/s", "CPU ms/job", "PSS MB", "start to first job s", "jobs"]
        head += [f"x {name}" for name in yardsticks]
        lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
        for design in designs:
            own = [run for run in runs if run.design == design]
            cells = [design, f"{_median(own, 'jobs_per_s'):.1f}", f"{_median(own, 'cpu_ms_per_job'):.1f}"]
            cells += [f"{_median(own, 'pss_mb'):.0f}", f"{_median(own, 'first_job_s'):.1f}", str(own[0].jobs)]
            cells += [f"{_ratio(own, runs, name):.2f}" for name in yardsticks]
            lines.append(cells)
        return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)

    def ratios(self) -> dict[str, dict[str, dict[str, float]]]:
        """Return the medians by setting and design: CPU time and memory, and the speed as multiples of others'."""
        settings = dict.fromkeys(run.setting for run in self.runs)
        return {setting: self._of_setting([run for run in self.runs if run.setting == setting]) for setting in settings}

    @staticmethod
    def _of_setting(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
        by_design: dict[str, list[Run]] = {}
        for run in runs:
            by_design.setdefault(run.design, []).append(run)
        found = {}
        for design, own in by_design.items():
            found[design] = {"cpu_ms": _median(own, "cpu_ms_per_job"), "pss_mb": _median(own, "pss_mb")}
            if "bare" in by_design:
                found[design]["bare_cpu_ms"] = _median(by_design["bare"], "cpu_ms_per_job")
            for name in ("bare", "loop"):
                if name in by_design:
                    found[design][f"x_{name}"] = _ratio(own, runs, name)
        return found

    def notes(self) -> list[str]:
        """Return sentences on what the tables do not hold."""
        notes = []
        if self.idle_receives is not None:
            notes.append(f"An idle worker calls ReceiveMessage {self.idle_receives:.1f} times a minute.")
        noisy = [run for run in self.runs if run.others_share > _QUIET_SHARE]
        if noisy:
            most = max(run.others_share for run in noisy)
            notes.append(
                f"In {len(noisy)} of {len(self.runs)} measurements other processes used more than "
                f"{_QUIET_SHARE:.0%} of the machine (at most {most:.0%}): trust ratios only, or measure again."
            )
        return notes

    def save(self, file: Path, options: dict[str, Any]) -> None:
        """Write the ratios and every single measurement as JSON, with what is needed to read it later."""
        machine = {
            "platform": platform.platform(),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "memory_mb": round(psutil.virtual_memory().total / 1e6),
        }
        content = {
            "machine": machine,
            "options": options,
            "idle_receives_per_minute": self.idle_receives,
            "ratios": self.ratios(),
            "runs": [asdict(run) for run in self.runs],
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=1, default=str) + "\n")


def _median(runs: Sequence[Run], name: str) -> float:
    return float(median(getattr(run, name) for run in runs))


def _ratio(own: Sequence[Run], runs: Sequence[Run], yardstick: str) -> float:
    """Return the median of the rounds' ratios: the noise of a shared machine hits both halves of a round alike."""
    other = {run.round: run.jobs_per_s for run in runs if run.design == yardstick}
    ratios = [run.jobs_per_s / other[run.round] for run in own if run.round in other]
    return median(ratios) if ratios else float("nan")
