"""Say what the service has cost this month."""

import json
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandParser

from deploy.management.base import StackCommand, cost_table
from deploy.operate import cost
from deploy.operate.cost import Spent
from deploy.service import Service
from metrics import machine_types
from metrics.health.findings import NotKnownHere


class Command(StackCommand):
    """Print an estimate, and with `--billed` what AWS has billed."""

    help = (
        "Estimate what the service has cost this month: since its first, machine-hours x list prices. Needs "
        "cloudformation:DescribeStacks, autoscaling:DescribeScalingActivities and DescribeAutoScalingGroups; "
        "--billed needs ce:GetCostAndUsage, the budget budgets:ViewBudget and ListTagsForResource, the credit "
        "freetier:GetAccountPlanState."
    )
    interrupted = "Interrupted."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add where the numbers come from, and the format."""
        super().add_arguments(parser)
        parser.add_argument("--billed", action="store_true", help="ask Cost Explorer instead, which costs $0.01 a time")
        parser.add_argument("--json", action="store_true", help="print it as JSON")

    def run(self, service: Service, **options: Any) -> None:
        """Ask, and print."""
        service.require()
        now = datetime.now(UTC)
        if options["billed"]:
            self.stderr.write("Asking Cost Explorer, which costs $0.01.")
        try:
            found = cost.billed(service, now) if options["billed"] else cost.estimate(service, now)
        except NotKnownHere as error:
            reason = f"not known here: {error}"
            self.stdout.write(
                json.dumps({"not_known": reason}) if options["json"] else f"{reason[0].upper()}{reason[1:]}."
            )
            return
        if options["json"]:
            whole = {"billed": options["billed"], **cost.as_dict(found), "budget": cost.budgeted(service) or None}
            whole["credit"] = cost.credit(service) or None
            self.stdout.write(json.dumps(whole, indent=2))
        else:
            self._print(found, _words(service, found, billed=options["billed"]))
            told = {"Credit": cost.credit(service), "Budget": cost.budgeted(service)}
            for name, known in told.items():
                if known:
                    self.console().print(f"{name}: {known}", markup=False)

    def _print(self, found: Spent, words: str) -> None:
        console = self.console()
        if found.lines:
            console.print(cost_table(f"since {found.since:%Y-%m-%d}", found.lines))
        console.print(words, markup=False)


def _words(service: Service, found: Spent, billed: bool) -> str:
    """Return what the numbers are worth."""
    if billed and not found.lines:
        return (
            f"Cost Explorer knows no cost with the tag Project={service}. Activate this tag in the Billing console, "
            "under Cost allocation tags; a day later it counts, from then on."
        )
    if billed:
        return f"What carries the tag Project={service}, as far as AWS has billed it: about a day late."
    prices = f"list prices of {machine_types.REGION}, {machine_types.AS_OF}"
    unknown = [f"{one} has no price in metrics/machine_types.py: its hours cost nothing here." for one in found.unknown]
    return " ".join([f"An estimate at {prices}. Not included: {cost.NOT_INCLUDED}.", *unknown])
