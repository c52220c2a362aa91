"""What an acceptance run is asked to do."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# How long it takes on AWS, three bakes included: what costs by the hour is estimated for that.
HOURS = 2.0
# Between two photos while machines are replaced, in seconds.
PHOTO_EVERY_SECONDS = 2.0


class AcceptanceError(Exception):
    """The run can't begin; the text says why and what to do."""


@dataclass(frozen=True)
class Options:
    """What the operator asks for.

    `local` starts a local AWS for the run. Without `bot`, jobs are put into the queue and nobody is answered; with one
    on AWS, `token` is its token, and photos come from `chat_ids`. `only` names the steps to run, empty for all.
    """

    prefix: str
    out: Path
    photos: int = 300
    local: bool = False
    keep: bool = False
    bot: bool = True
    token: str = field(default="", repr=False)
    chat_ids: tuple[int, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    only: frozenset[str] = frozenset()


def new_prefix() -> str:
    """Return a prefix that nobody has."""
    return f"objdet-try-{secrets.token_hex(2)}"
