"""Processes that can be ended and started again as they were, those of small machines under a limit of memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.processes import TOP, Child, Children
from tests.chaos.memory import Memory

_FAIR_EMULATOR = [sys.executable, "-m", "tests.chaos.fair_queue"]
_LIMITED = {"polybot", "yolo5"}


@dataclass(frozen=True)
class Role:
    """A process and how it was started."""

    child: Child
    command: Sequence[str]
    env: Mapping[str, str]


class Supervised(Children):
    """Processes that can be ended and started again as they were."""

    def __init__(self, folder: Path, on_line: Callable[[str, str], None], memory: Memory) -> None:
        super().__init__(folder, on_line)
        self.roles: dict[str, Role] = {}
        self._memory = memory

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str], layer: int = TOP) -> Child:
        """Start a process, and remember how."""
        command = _FAIR_EMULATOR if name == "ministack" else command
        if name in self.roles:
            self.forget(self.roles[name].child)
        limited = name.partition("-")[0] in _LIMITED
        child = super().start(name, self._memory.command(name, command) if limited else command, env, layer)
        self.roles[name] = Role(child, command, dict(env))
        if limited:
            self._memory.watch(child)
        return child

    def again(self, name: str) -> Child:
        """Start a process that has ended once more."""
        role = self.roles[name]
        return self.start(name, role.command, role.env, role.child.layer)

    def forget(self, child: Child) -> None:
        """Let a process that has ended be: by the time all is stopped, its number may be somebody else's."""
        self._children.remove(child)
        del self.roles[child.name]

    def stop(self) -> None:
        """End everything."""
        super().stop()
        self.roles.clear()
