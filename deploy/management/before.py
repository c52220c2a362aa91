"""Before anything is made: whose account it is, whether that is meant, and whether it can work there."""

from dataclasses import replace
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from rich.console import Console

from deploy.management import findings, token_input
from deploy.management.confirm import confirm
from deploy.preflight import checks, machines, region, rights
from deploy.provision import Order
from deploy.service import Service
from metrics.health.findings import Finding, Health


def tell(console: Console) -> None:
    """Print the account and the region."""
    console.print(f"{rights.read_account()}.", markup=False)


def ask(console: Console, service: Service, sure: bool) -> None:
    """Have somebody agree to a new service in this account and region, unless they are `sure`.

    Raise CommandError if nobody does.
    """
    if not sure and not service.find("network"):
        meant = "Set AWS_PROFILE and AWS_REGION to what you mean."
        instead = f"There is no service {service} in {settings.AWS_REGION} yet: add --yes to make it."
        confirm(console, f"Make {service} there? [y/N] ", "Nothing was made", instead, refused=meant)


def print_checks(console: Console, order: Order, descriptor: int | None) -> None:
    """Print what every check found; raise CommandError if one failed, or if the token in the descriptor is wrong."""
    if descriptor is not None:
        token_input.take(order.service, descriptor, console)
    found = checks.run(order, machines.wanted_by(order))
    findings.print_findings(console, found)
    if names := findings.failed(found):
        raise CommandError(f"Nothing was made. Failed: {names}.")
    console.print("Nothing was made, and nothing known stands in the way.")


def ready(console: Console, order: Order) -> Order:
    """Return the order with zones and a builder that the account has; raise CommandError if it can't be carried out."""
    needed = machines.wanted_by(order)
    # The command asks for a missing token itself, and says at the end what is missing for the webhook.
    found = checks.run(order, needed, without=("account", "token", "certificate"))
    if worth := [one for one in found if _bad(one)]:
        findings.print_findings(console, worth)
    if names := findings.failed(found):
        raise CommandError(
            f"Nothing was made. Failed: {names}. `provision --check` shows the whole page, --unchecked goes on."
        )
    return replace(order, values={**region.chosen_zones(order, needed), **order.values}, bake_type=needed.baker)


def _bad(one: Finding[Any]) -> bool:
    return one.state in (Health.FAILED, Health.WARNING)
