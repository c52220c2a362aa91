"""What the service costs, as `provision --plan` estimates it from the templates, and what its machines cost."""

import re
from pathlib import Path

import pytest

from deploy import costs, prices, stacks
from deploy.cfn import template
from deploy.costs import Cost, Resources
from metrics import machine_types
from metrics.backlog import BadSetting
from metrics.machine_types import COMPARED, TYPES
from metrics.simulator import by_type


def made(**values: str) -> list[Resources]:
    """Return the resources of all templates with these parameters."""
    texts = [template.read(stacks.TEMPLATES / f"{part}.yaml") for part in stacks.order()]
    return [costs.resources(text, text.names({"Prefix": "objdet", **values})) for text in texts]


def dollars(lines: list[Cost]) -> dict[str, float]:
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
    assert idle["metrics"] == pytest.approx(3 * 0.30 + 730 * 120 * 0.01 / 1000)


def test_metrics_every_10_s_cost_as_their_parameter_says() -> None:
    often, seldom = (costs.idle_month(made(MetricSeconds=seconds)) for seconds in ("10", "30"))
    more = sum(one.dollars for one in often) - sum(one.dollars for one in seldom)
    assert more == pytest.approx(1.80, abs=0.2)


def test_idle_workers_cost_nothing() -> None:
    assert "objdet-yolo5" not in dollars(costs.idle_month(made(MaxWorkers="1000")))


def test_warm_pool_costs_disks_alone() -> None:
    without, with_pool = (dollars(costs.idle_month(made(WarmMachines=count))) for count in ("0", "3"))
    assert with_pool["warm pool"] == pytest.approx(3 * 16 * 0.08)
    assert {**without, "warm pool": with_pool["warm pool"]} == with_pool


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
    page, bare, source = "", [], r"aws\.amazon\.com|calculator\.aws"
    for file in (prices.__file__, machine_types.__file__):
        for line in Path(file).read_text(encoding="utf-8").splitlines():
            if line.startswith("#"):
                page = line
            elif re.match(r"[A-Z_]+(:.*)? = ([\d.]+|{$)", line) and not re.search(source, page):
                bare.append(line)
    assert bare == []
    assert re.fullmatch(r"[A-Z][a-z]+ 20\d\d", machine_types.AS_OF)


def test_workers_disk_follows_template() -> None:
    workers = made()[stacks.order().index("workers")]
    [data] = [one["LaunchTemplateData"] for _, one in workers if "LaunchTemplateData" in one]
    assert data["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == machine_types.WORKER_DISK_GB


def test_micro_busy_all_month_costs_its_credits_too() -> None:
    hourly = 0.0104 + 0.005 + 0.05 * (2 - 0.2)
    assert TYPES["t3.micro"].busy_month == pytest.approx(730 * hourly + 16 * 0.08)
    assert 4 * TYPES["t3.micro"].busy_month == pytest.approx(310, abs=5)
    # More than a type without credits, whose list price is eight times as high.
    assert TYPES["t3.micro"].busy_month > TYPES["c7i-flex.large"].busy_month


@pytest.mark.parametrize(("busy_seconds", "surplus_seconds"), [(0, 0), (360, 0), (3600, 3240)])
def test_credits_are_paid_beyond_those_earned(busy_seconds: float, surplus_seconds: float) -> None:
    micro = TYPES["t3.micro"]
    more = micro.dollars(3600, busy_seconds) - micro.dollars(3600, 0)
    assert more == pytest.approx(2 * surplus_seconds / 3600 * 0.05)


def test_speed_counts_whole_cores() -> None:
    assert TYPES["t3.micro"].photos_per_second == TYPES["t3.large"].photos_per_second == 18
    assert TYPES["c7g.large"].photos_per_second == 2 * TYPES["c7g.medium"].photos_per_second


def names(**values: str) -> dict[str, str]:
    """Return the values of all templates' parameters."""
    texts = [template.read(stacks.TEMPLATES / f"{part}.yaml") for part in stacks.order()]
    return {key: value for text in texts for key, value in text.names(values).items()}


@pytest.mark.slow
def test_forecast_counts_kept_warm_machine() -> None:
    [micro] = [one for one in by_type.of_day(1000, names()) if one.kind.name == "t3.micro"]
    [cold] = [one for one in by_type.of_day(1000, names(KeepWarmSeconds="0")) if one.kind.name == "t3.micro"]
    hourly = 0.0104 + 0.005 + 16 * 0.08 / 730
    assert micro.result.machine_seconds > cold.result.machine_seconds
    assert micro.result.dollars == pytest.approx(micro.result.machine_seconds / 3600 * hourly)


@pytest.mark.slow
def test_forecast_names_cheapest_fast_enough_type() -> None:
    found = by_type.of_day(100_000, names(WorkerType="c7i.large"))
    assert {one.kind.name for one in found} == {*COMPARED, "c7i.large"}
    best = by_type.cheapest(found, 15)
    assert best
    assert best.kind.name == "t3.micro"
    assert best.result.latency(95) <= 15
    # A t3.micro does 18 photos/s, and at noon 21 come.
    busy = by_type.of_day(900_000, names(MaxWorkers="1"))
    only_one = by_type.cheapest(busy, 15)
    assert only_one
    assert only_one.kind.name == "c7i-flex.large"
    quarter = by_type.cheapest(busy, 15, percent=25)
    assert quarter
    assert quarter.kind.name == "t3.micro"


@pytest.mark.parametrize("photos", [-1, 10_000_000])
def test_forecast_refuses_impossible_loads(photos: int) -> None:
    with pytest.raises(BadSetting, match="photos per day"):
        by_type.of_day(photos, names())
