"""Hold roles to the memory of a small machine: by cgroups where they work, else by a watcher that kills as they would.

A directory below /sys/fs/cgroup limits nothing by itself, so a process that allocates too much has to be killed in one
before it counts as working.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from deploy.local.processes import Child, wait_until

LIMIT_MB = 768
_LOOK_SECONDS = 0.1
_GONE_SECONDS = 30.0
_PROBE_LIMIT_MB, _PROBE_TAKES_MB = 64, 256
_ROOT = Path("/sys/fs/cgroup")
# Enter the group, then become the role: everything that it allocates and forks is counted.
_ENTER = 'echo $$ > "$0/cgroup.procs" && exec "$@"'


class Memory:
    """The limit of each role by name, the kills, and the most that each has used (PSS of its process tree, in MB)."""

    def __init__(
        self, limit_mb: int = LIMIT_MB, group: Path | None = None, limits_mb: Mapping[str, int] | None = None
    ) -> None:
        self.limit_mb = limit_mb
        self.limits_mb = limits_mb or {}
        self.peaks: dict[str, float] = {}
        self._group = group
        self._killed: Counter[str] = Counter()
        self._watched: dict[str, Child] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self._thread.start()

    @property
    def kind(self) -> str:
        """Return what is in force, for the report's first line."""
        by = (
            "a cgroup each, proved by a killed process"
            if self._group
            else "a watcher that kills (no cgroup works here)"
        )
        return f"memory of each worker and site: {self.limit_mb} MB, by {by}"

    def command(self, name: str, command: Sequence[str]) -> Sequence[str]:
        """Return the command that starts a role under its limit."""
        if self._group is None:
            return command
        return ["sh", "-c", _ENTER, str(_make(self._group / name, self._limit_mb(name))), *command]

    def watch(self, child: Child) -> None:
        """Look at a role from now on; an earlier one of the same name is forgotten."""
        self._watched[child.name] = child

    def kills(self) -> int:
        """Return how many processes were killed for their memory so far."""
        groups = list(self._group.iterdir()) if self._group else []
        return sum(self._killed.values()) + sum(_oom_kills(group) for group in groups if group.is_dir())

    def now(self, name: str) -> float:
        """Return what a role uses now, and begin its peak from there."""
        self.peaks[name] = _pss_mb(self._watched[name].process.pid)
        return self.peaks[name]

    def close(self) -> None:
        """Stop looking, and remove the groups: their processes have ended."""
        self._over.set()
        self._thread.join()
        if self._group:
            for group in [*filter(Path.is_dir, self._group.iterdir()), self._group]:
                _remove(group)

    def _limit_mb(self, name: str) -> int:
        return self.limits_mb.get(name, self.limit_mb)

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            for name, child in list(self._watched.items()):
                if child.running:
                    self._look(name, child)

    def _look(self, name: str, child: Child) -> None:
        used = _pss_mb(child.process.pid)
        self.peaks[name] = max(used, self.peaks.get(name, 0.0))
        if self._group is None and used > self._limit_mb(name):
            self._killed[name] += 1
            child.kill()


def working_group() -> Path | None:
    """Return a cgroup below this process's own in which limits hold, or None."""
    for parent in _parents():
        group = parent / f"chaos-{os.getpid()}"
        try:
            group.mkdir()
            if (group / "cgroup.subtree_control").exists():
                (group / "cgroup.subtree_control").write_text("+memory")
            probe = _make(group / "probe", _PROBE_LIMIT_MB)
            works = _kills(probe)
            probe.rmdir()
            if works:
                return group
            group.rmdir()
        except OSError:
            with suppress(OSError):
                (group / "probe").rmdir()
            with suppress(OSError):
                group.rmdir()
    return None


def _parents() -> Iterator[Path]:
    """Yield this process's own group, of either version of cgroups."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        group = _ROOT / controllers / path.lstrip("/")
        if controllers in ("", "memory") and (group / "cgroup.procs").exists():
            yield group


def _make(group: Path, limit_mb: int) -> Path:
    """Make a group with a limit on memory and swap together."""
    group.mkdir(exist_ok=True)
    limit = str(limit_mb << 20)
    old = (group / "memory.limit_in_bytes").exists()
    (group / ("memory.limit_in_bytes" if old else "memory.max")).write_text(limit)
    swap = group / ("memory.memsw.limit_in_bytes" if old else "memory.swap.max")
    if swap.exists():
        swap.write_text(limit if old else "0")
    return group


def _remove(group: Path) -> None:
    """Remove a group as soon as the last of its processes, all of them killed, is gone."""

    def removed() -> bool:
        try:
            group.rmdir()
        except OSError:
            return False
        return True

    wait_until(removed, _GONE_SECONDS, f"removal of {group}", _LOOK_SECONDS)


def _kills(group: Path) -> bool:
    """Return whether a process that allocates too much in this group is killed."""
    code = f"bytearray(b'x') * ({_PROBE_TAKES_MB} << 20)"
    command = ["sh", "-c", _ENTER, str(group), sys.executable, "-c", code]
    return subprocess.run(command, check=False, capture_output=True).returncode == -9


def _oom_kills(group: Path) -> int:
    for name in ("memory.oom_control", "memory.events"):
        if (group / name).exists():
            lines = dict(line.split() for line in (group / name).read_text().splitlines())
            return int(lines.get("oom_kill", 0))
    return 0


def _pss_mb(pid: int) -> float:
    """Return what a process and its descendants use, in MB: shared pages count in part for each."""
    return sum(_pss(each) for each in _tree(pid)) / 1024


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                yield from _tree(int(child))


def _pss(pid: int) -> int:
    # What has just ended uses nothing.
    with suppress(FileNotFoundError, ProcessLookupError):
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    return int(line.split()[1])
        except PermissionError:
            # A worker hides its memory once it has a decoder: of it, only root learns what is shared.
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE") // 1024
    return 0
