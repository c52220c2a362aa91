"""Read what processes cost: CPU time and memory of a tree, and what of the machine others use meanwhile."""

import os
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU seconds used up to a moment: by a process and its children, by all of the bench, by the whole machine."""

    tree: float
    bench: float
    machine: float
    cores: int = psutil.cpu_count() or 1

    def others_share(self, earlier: "Cpu", seconds: float) -> float:
        """Return what the rest of the machine used of all cores since `earlier` (0-1): the noise of a measurement."""
        others = (self.machine - earlier.machine) - (self.bench - earlier.bench)
        return max(0.0, others / (seconds * self.cores))


def cpu(pid: int) -> Cpu:
    """Return the CPU times of now, for the process `pid` and its children."""
    times = psutil.cpu_times()
    # Time that the hypervisor gave to others counts as theirs; absent on other systems than Linux.
    machine = times.user + times.nice + times.system + sum(getattr(times, name, 0.0) for name in ("irq", "steal"))
    return Cpu(_seconds(_tree(pid)), _seconds(_tree(os.getpid())), machine)


def pss_mb(pid: int) -> float:
    """Return the memory of a process and its children, MB; what they share with others counts in part (PSS)."""
    return sum(map(_pss, _tree(pid))) / 1e6


def _pss(process: psutil.Process) -> int:
    try:
        info = process.memory_full_info()
    except psutil.AccessDenied:
        # A worker hides its memory once it has a decoder: of it, only root learns what is shared.
        return int(process.memory_info().rss)
    return int(getattr(info, "pss", info.uss))


def _tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _seconds(tree: list[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (process.cpu_times() for process in tree))
