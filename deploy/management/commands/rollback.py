"""Go back to an earlier image."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandParser
from rich.console import Console
from rich.table import Table

from botsite import roles
from deploy import rollback
from deploy.images import ami, rollout
from deploy.images.ami import Image
from deploy.management import turn
from deploy.management.base import StackCommand, progress, saying
from deploy.management.confirm import confirm
from deploy.operate import operators
from deploy.rollback import Images, RollbackStep
from deploy.service import Service
from metrics.health.words import span


class Command(StackCommand):
    """Show the versions, or go back to one and replace the machines."""

    help = (
        "Go back to the image before, of one role or of all: if there is one, new machines start from it, and running "
        "ones are replaced. `provision` keeps it until the role is baked again. Images are kept by number (bake_ami "
        "--keep)."
    )
    interrupted = "Interrupted. What is begun goes on; run it again to finish it, or --list to see where it stands."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the role, the version and how to ask."""
        super().add_arguments(parser)
        parser.add_argument("role", type=roles.named, nargs="?", help=f"{roles.names()} (default: all)")
        parser.add_argument("--to", default="", metavar="VERSION", help="this version (or AMI id), older or newer")
        parser.add_argument("--list", action="store_true", help="list the images with their age and commit, and stop")
        turn.add_yes(parser, "do not ask, for scripts")
        parser.add_argument("--wait", action="store_true", help="wait until the machines are replaced")
        parser.add_argument("--json", action="store_true", help="print it as JSON")

    def run(self, service: Service, **options: Any) -> None:
        """List, or ask and roll back."""
        service.require()
        chosen = [options["role"].short] if options["role"] else [role.short for role in roles.ROLES]
        if options["list"]:
            self._list(rollback.images(service, chosen), options["json"])
            return
        console = Console(stderr=True, highlight=False, soft_wrap=True) if options["json"] else self.console()
        with turn.taken(console, service, "rollback", options["yes"]):
            self._roll_back(service, chosen, console, options)

    def _roll_back(self, service: Service, chosen: Sequence[str], console: Console, options: dict[str, Any]) -> None:
        """Ask, and do it."""
        steps = rollback.steps(service, chosen, options["to"])
        for step in steps:
            console.print(_sentence(step), markup=False)
        if not options["yes"]:
            question = "Roll back, and replace these machines? [y/N] "
            confirm(console, question, "Nothing was changed", "Add --yes to do it without.")
        done = _carry_out(service, steps, console, options["wait"])
        if options["json"]:
            self.stdout.write(json.dumps(done, indent=2))

    def _list(self, every: Sequence[Images], as_json: bool) -> None:
        now = datetime.now(UTC)
        if as_json:
            self.stdout.write(json.dumps({roles.named(one.role).name: _data(one, now) for one in every}, indent=2))
            return
        table = Table("role", "version", "commit", "age", "image", "", box=None, header_style="bold", pad_edge=False)
        for one in every:
            for image in one.found:
                what = (image.version, _commit(image), _age(image, now), image.id)
                table.add_row(roles.named(one.role).name, *what, _state(one, image))
            if not one.found:
                table.add_row(roles.named(one.role).name, "no image was baked", "", "", "", "")
        self.console().print(table)


def _carry_out(service: Service, steps: Sequence[RollbackStep], console: Console, wait: bool) -> dict[str, object]:
    say, who = saying(console), operators.caller()
    done: dict[str, object] = {}
    refreshes: list[tuple[str, str]] = []
    with progress(console) as report:
        for step in steps:
            rollback.carry_out(service, step, who, report)
            group, refresh = rollback.replace(service, step.role, say)
            refreshes.append((group, refresh))
            ends = {"from": _brief(step.left), "to": _brief(step.target)}
            done[roles.named(step.role).name] = {**ends, "refresh": refresh or None}
    for group, refresh in refreshes if wait else ():
        if refresh:
            rollout.follow(group, refresh, say)
    say("Done. `provision` keeps this until the role is baked again.")
    return done


def _sentence(step: RollbackStep) -> str:
    now = datetime.now(UTC)
    ends = (f"{one.version} ({_commit(one)}, {_age(one, now)} old, {one.id})" for one in (step.left, step.target))
    return f"{roles.named(step.role).name}: " + " -> ".join(ends)


def _state(one: Images, image: Image) -> str:
    if image.id == one.started:
        return "runs"
    if image == one.before:
        return "next"
    return f"rolled back from by {image.tags.get(ami.WITHDRAWN_BY, '')}" if image.withdrawn else ""


def _data(one: Images, now: datetime) -> dict[str, object]:
    before = one.before
    return {
        "runs": one.started,
        "next": before.id if before else None,
        "images": [{**_brief(image), **_more(image, now)} for image in one.found],
    }


def _brief(image: Image) -> dict[str, object]:
    return {"image": image.id, "version": image.version, "commit": image.tags.get("Commit")}


def _more(image: Image, now: datetime) -> dict[str, object]:
    age = image.age(now)
    return {
        "made_at": image.created,
        "age_seconds": round(age.total_seconds()) if age else None,
        "precision": image.tags.get("Precision"),
        "rolled_back_at": image.tags.get(ami.WITHDRAWN),
        "rolled_back_by": image.tags.get(ami.WITHDRAWN_BY),
    }


def _commit(image: Image) -> str:
    """Return the commit as git abbreviates it; images of older releases have none."""
    commit, dirty, _ = image.tags.get("Commit", "-").partition("-dirty")
    return commit[:7] + dirty if commit else "-"


def _age(image: Image, now: datetime) -> str:
    age = image.age(now)
    return span(age.total_seconds()) if age is not None else "-"
