"""The roles as operators call them, and what AWS calls what belongs to them."""

from argparse import ArgumentTypeError
from dataclasses import dataclass

from deploy.service import Service


@dataclass(frozen=True)
class Role:
    """A role by its one name. `short` is in the names of its group, its images and its log group."""

    name: str
    short: str

    def group(self, service: Service) -> str:
        """Return the name of the role's Auto Scaling group."""
        return f"{service}-{self.short}"

    def log_group(self, service: Service) -> str:
        """Return the name of the role's log group."""
        return f"/{service}/{self.short}"


ROLES = (Role("polybot", "polybot"), Role("yolo5", "yolo5"), Role("metricStreamer", "metrics"))
NAMES = ", ".join(role.name for role in ROLES)


def named(text: str) -> Role:
    """Return the role with this name, for argparse; `metrics` is accepted for metricStreamer."""
    for role in ROLES:
        if text.lower() in (role.name.lower(), role.short):
            return role
    raise ArgumentTypeError(f"{text!r} is no role: the roles are {NAMES}.")
