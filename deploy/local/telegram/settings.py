"""Settings that can be changed while the server runs."""

from __future__ import annotations

from dataclasses import dataclass, fields

from .calls import JsonObject, bad_request


@dataclass
class Settings:
    """`time_scale` multiplies Telegram's retry delays and lifetimes, nothing else."""

    time_scale: float = 1.0
    rate_limits: bool = False
    webhook_timeout_seconds: float = 60.0

    def scaled(self, seconds: float) -> float:
        """Return how long Telegram's `seconds` take here."""
        return seconds * self.time_scale

    def change(self, changes: JsonObject) -> None:
        """Set some of the fields; raise 400 for an unknown name or a wrong type."""
        known = {entry.name: type(getattr(self, entry.name)) for entry in fields(self)}
        for name, value in changes.items():
            if name not in known or isinstance(value, bool) != (known[name] is bool):
                raise bad_request(f"no setting {name}={value!r}; the settings are {', '.join(known)}")
        for name, value in changes.items():
            setattr(self, name, known[name](value))
