"""What the service costs, as `provision --plan` estimates it from the templates."""

import re
from pathlib import Path

import pytest

from deploy import costs, prices, stacks
from deploy.cfn import template
from deploy.costs import Line, Resources
from metrics.simulator.scenario import Machine


def made(**values: str) -> list[Resources]:
    """Return the resources of all templates with these parameters."""
    texts = [template.read(stacks.TEMPLATES / f"{part}.yaml") for part in stacks.ORDER]
    return [costs.resources(text, text.names({"Prefix": "objdet", **values})) for text in texts]


def dollars(lines: list[Line]) -> dict[str, float]:
    """Return the cost of each line, in dollars."""
    return {one.what: one.dollars for one in lines}


def test_idle_month_pays_for_permanent_resources() -> None:
    idle = dollars(costs.idle_month(made()))
    machine = 730 * (0.0104 + 0.005) + 8 * 0.08
    assert idle["objdet-polybot"] == pytest.approx(2 * machine)
    assert idle["objdet-metrics"] == pytest.approx(machine)
    assert idle["load balancer"] == pytest.approx(730 * (0.0225 + 2 * 0.005))
    assert idle["secrets"] == pytest.approx(5 * 0.40)
    # Nine at 60 s or more; below, the first worker's, the gap's, and the two of each of two target tracking policies.
    assert idle["alarms"] == pytest.approx(9 * 0.10 + 6 * 0.30)


def test_idle_workers_cost_nothing() -> None:
    assert "objdet-yolo5" not in dollars(costs.idle_month(made(MaxWorkers="1000")))


def test_larger_site_costs_more() -> None:
    small, large = (dollars(costs.idle_month(made(WebType=type_))) for type_ in ("t3.micro", "t3.small"))
    assert large["objdet-polybot"] - small["objdet-polybot"] == pytest.approx(2 * 730 * 0.0104)


def test_thousand_photos_cost_cents() -> None:
    month, year = (costs.thousand_photos("t3.micro", days) for days in (30, 365))
    assert 0.03 < sum(one.dollars for one in month) < 0.3
    assert dollars(year)["photos and results"] > dollars(month)["photos and results"]


def test_machine_without_price_is_named() -> None:
    assert costs.unknown(made(WebType="m9.huge"), "t3.micro") == ["m9.huge"]
    assert costs.unknown(made(), "z1.tiny") == ["z1.tiny"]


def test_every_price_names_its_source() -> None:
    """Each price is below the page that it is from, and all are from one month."""
    page, bare = "", []
    for line in Path(prices.__file__).read_text(encoding="utf-8").partition("HOURS_A_MONTH =")[2].splitlines()[1:]:
        if line.startswith("#"):
            page = line
        elif re.match(r"[A-Z_]+ =", line) and not re.search(r"aws\.amazon\.com/\S+/pricing|The same page", page):
            bare.append(line)
    assert bare == []
    assert re.fullmatch(r"[A-Z][a-z]+ 20\d\d", prices.AS_OF)


def test_simulation_uses_same_price() -> None:
    assert Machine().dollars_per_hour == prices.INSTANCE_HOUR["t3.micro"]
