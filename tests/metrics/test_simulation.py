"""A simulated group wakes for one photo, grows with the load, answers everything and goes back to zero."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from botsite import celery
from metrics import policy
from metrics.backlog import BadSetting
from metrics.simulator import arrivals, compare
from metrics.simulator.fleet import Fleet
from metrics.simulator.scenario import Machine, Result, Scenario
from metrics.simulator.simulation import simulate
from tests.support import forked

ROOT = Path(__file__).resolve().parents[2]
HOUR, DAY = 3600.0, 86_400.0
# The brief's: ten photos for each machine.
POLICIES = policy.shipped(10)
# Exactly one photo per second and machine.
SLOW = Machine(slots=1, service_seconds=1, service_variation=0, boot_seconds=120)


def _burst(photos: int, maximum: int = 100, machine: Machine = SLOW) -> Result:
    return simulate(Scenario(np.zeros(photos), machine, maximum=maximum), POLICIES)


def _desired(result: Result) -> list[int]:
    return [int(desired) for desired in result.machines.desired]


def test_one_photo_takes_exactly_one_machine() -> None:
    result = _burst(1)
    assert _desired(result) == [0, 1, 1, 0, 0]
    assert result.launches == 1


@pytest.mark.parametrize("photos", [100, 300, 995])
def test_burst_takes_as_many_machines_as_target_says(photos: int) -> None:
    assert abs(_burst(photos).peak - photos / 10) <= 1


def test_machine_is_paid_from_its_launch_with_address_disk_and_credits() -> None:
    result = _burst(1000, maximum=1)
    hours, busy = result.machine_seconds / 3600, 1000 / 3600
    assert result.machine_seconds > SLOW.boot_seconds + 1000
    assert result.dollars == pytest.approx(hours * (0.0104 + 0.005 + 16 * 0.08 / 730) + 2 * 0.05 * (busy - 0.1 * hours))


def test_machines_do_not_share_credits() -> None:
    # One is busy for half an hour; the other is there, and idle, for a day.
    busy = _burst(1800, maximum=1)
    both = simulate(Scenario(np.concatenate([np.zeros(1800), [DAY]]), SLOW, maximum=1, keep_warm_seconds=DAY), POLICIES)
    assert busy.dollars > busy.machine_seconds / 3600 * (0.0104 + 0.005 + 16 * 0.08 / 730)
    assert both.dollars == pytest.approx(both.machine_seconds / 3600 * (0.0104 + 0.005 + 16 * 0.08 / 730))


def test_stopped_machine_of_the_warm_pool_costs_its_disk() -> None:
    pool = simulate(Scenario(np.zeros(1), SLOW, maximum=1, warm_pool=1), POLICIES)
    hours, end = pool.machine_seconds / 3600, pool.machines.at[-1] / 3600
    # Running or stopped, it keeps its disk.
    assert pool.dollars == pytest.approx(hours * (0.0104 + 0.005) + end * 16 * 0.08 / 730)


def test_standby_answers_lone_photo_without_any_machine() -> None:
    result = simulate(Scenario(np.array([0.0, 5000.0]), SLOW, standby=True), POLICIES)
    assert (result.latencies.tolist(), result.launches, result.standby.busy) == ([1, 1], 0, 2)
    assert result.dollars == pytest.approx(result.standby.paid / 3600 * 8 * 0.08 / 730)


def test_standby_takes_its_part_of_a_burst_and_the_group_the_rest() -> None:
    alone, helped = (
        simulate(Scenario(np.zeros(100), SLOW, maximum=100, standby=is_on), POLICIES) for is_on in (False, True)
    )
    # While the metric is on its way, it does 20 of them.
    assert (alone.peak, helped.peak) == (10, 8)
    assert helped.latency(50) < alone.latency(50)


def test_burst_scales_from_zero_to_maximum_and_back() -> None:
    result = _burst(300, maximum=4)
    assert (_desired(result)[0], result.peak, _desired(result)[-1], result.machines.running[-1]) == (0, 4, 0, 0)


def test_first_photo_waits_for_tick_alarm_and_boot() -> None:
    result = _burst(1)
    assert result.latencies.tolist() == [20 + 120 + 1]


def test_default_machine_has_slots_of_worker() -> None:
    assert Machine().slots == celery.configuration()["worker_concurrency"]


def test_no_photos_take_no_machine() -> None:
    result = _burst(0)
    assert (result.launches, result.dollars, result.latency(95)) == (0, 0, 0)


def test_minimum_machines_are_paid_for_from_start_to_end() -> None:
    result = simulate(Scenario(np.array([0.0, 600]), SLOW, minimum=1, maximum=1), POLICIES)
    assert result.latencies.tolist() == [1, 1]
    assert result.machine_seconds == result.machines.at[-1]


@given(
    st.lists(st.floats(0, HOUR), max_size=80),
    st.builds(
        Machine,
        slots=st.integers(1, 30),
        service_seconds=st.floats(0.01, 300),
        service_variation=st.floats(0, 2),
        boot_seconds=st.floats(0, 400),
    ),
    st.floats(0.1, 1000),
    st.integers(1, 50),
    st.floats(0, 30),
)
@settings(max_examples=60)
def test_every_photo_is_answered(
    times: list[float], machine: Machine, target: float, maximum: int, delay: float
) -> None:
    scenario = Scenario(np.sort(times), machine, maximum=maximum, metric_delay_seconds=delay)
    result = simulate(scenario, policy.shipped(target))
    assert np.all(result.latencies > 0)
    assert (_desired(result)[-1], result.peak <= maximum) == (0, True)
    assert result.machine_seconds >= 60 * result.launches


# A point is this late for an alarm, at most: a tick, the way to the alarm, a period that has to end, an evaluation.
UNSEEN = 30 + 5 + 30 + 10


@pytest.mark.slow
@given(
    st.lists(st.floats(0, 4 * HOUR), max_size=60),
    st.lists(st.tuples(st.floats(0, 4 * HOUR), st.integers(1, 600)), max_size=3),
    st.floats(1, 100),
    st.sampled_from([60.0, 600.0, 1800.0]),
)
@settings(max_examples=60)
def test_no_group_in_use_falls_to_zero(
    lone: list[float], bursts: list[tuple[float, int]], target: float, keep: float
) -> None:
    photos = np.sort([*lone, *(at for at, photos in bursts for _ in range(photos))])
    scenario = Scenario(photos, SLOW, maximum=20, keep_warm_seconds=keep)
    result = simulate(scenario, policy.shipped(target))
    desired = result.machines.desired
    for at in result.machines.at[1:][(desired[:-1] > 0) & (desired[1:] == 0)]:
        assert not np.any((photos > at - keep) & (photos < at - UNSEEN))
    assert _desired(result)[-1] == 0


@pytest.mark.parametrize("machines", [1, 2, 7, 40])
def test_trickle_of_photos_shrinks_group_to_one_machine(machines: int) -> None:
    photos = np.sort([*np.zeros(10 * machines), *np.arange(300.0, 4 * HOUR, 300.0)])
    result = simulate(Scenario(photos, SLOW, maximum=machines), POLICIES)
    busy = result.machines.desired[(result.machines.at > 0) & (result.machines.at <= photos[-1] + 600)]
    assert (int(busy.max()), int(busy.min()), int(busy[-1])) == (machines, 1, 1)
    assert max(result.latencies[10 * machines :]) == 1
    assert _desired(result)[-1] == 0


@pytest.mark.parametrize("keep", [600, 1800])
def test_last_machine_goes_after_quiet_time(keep: float) -> None:
    result = simulate(Scenario(np.array([0.0, 1000.0]), SLOW, keep_warm_seconds=keep), POLICIES)
    assert result.launches == 1
    # Then target tracking wants fifteen idle periods; the last photo came between two ticks.
    assert keep + 15 * 30 - 30 <= result.machines.at[-1] - 1000 <= keep + 15 * 30 + UNSEEN


def test_second_photo_waits_for_boot_without_keeping() -> None:
    result = simulate(Scenario(np.array([0.0, 1000.0]), SLOW, keep_warm_seconds=0), POLICIES)
    assert result.launches == 2


def test_fleet_serves_in_order_up_to_its_slots() -> None:
    fleet = Fleet(np.array([0.0, 0, 0, 10]), 2, lambda number: np.full(number, 3.0))
    assert fleet.depth(1) == (3, 0)
    fleet.add(1, 1)
    assert [fleet.depth(at) for at in (1, 4, 7, 12, 13)] == [(1, 2), (0, 1), (0, 0), (0, 1), (0, 0)]
    assert fleet.finished.tolist() == [4, 4, 7, 13]


def test_removed_machine_only_finishes_its_photos() -> None:
    fleet = Fleet(np.zeros(3), 1, lambda number: np.full(number, 5.0))
    fleet.add(1, 0)
    fleet.add(2, 0)
    assert fleet.remove(2, 1) == 5
    assert fleet.depth(5) == (0, 1)
    assert fleet.finished.tolist() == [5, 5, 10]


RNG = np.random.default_rng(7)


@pytest.mark.parametrize(
    ("times", "number", "last"),
    [
        (arrivals.constant(2, HOUR, RNG), 7200, HOUR),
        (arrivals.burst(300, 10, RNG), 300, 10),
        (arrivals.wave(10_000 / DAY, DAY, RNG), 10_000, DAY),
        (arrivals.ramp(RNG), 270_300, 2100),
    ],
    ids=["constant", "burst", "wave", "ramp"],
)
def test_arrivals_are_sorted_complete_and_in_time(times: arrivals.Seconds, number: int, last: float) -> None:
    assert len(times) == pytest.approx(number, rel=0.05)
    assert [bool(np.all(np.diff(times) >= 0)), bool(times[0] >= 0), bool(times[-1] <= last)] == [True, True, True]


def test_wave_peaks_at_noon_and_is_empty_at_midnight() -> None:
    hours = np.histogram(arrivals.wave(1, DAY, RNG) / HOUR, bins=24, range=(0, 24))[0]
    assert hours[12] == pytest.approx(2 * HOUR, rel=0.1)
    assert hours[0] < 0.05 * hours[12]


def test_ramp_grows_for_ten_minutes_and_stays() -> None:
    times = arrivals.ramp(RNG)
    minutes = np.histogram(times / 60, bins=35, range=(0, 35))[0] / 60
    assert minutes[0] == pytest.approx(1 + 149 * 0.05, rel=0.1)
    assert minutes[5] == pytest.approx(1 + 149 * 0.55, rel=0.1)
    assert minutes[10:] == pytest.approx(np.full(25, 150.0), rel=0.1)
    assert times[-1] <= 2100


def test_bursts_are_of_known_sizes_and_a_minute_long() -> None:
    def draw(seed: int) -> arrivals.Seconds:
        return arrivals.bursts(np.random.default_rng(seed))

    assert draw(1).tolist() == draw(1).tolist()
    assert len({len(draw(seed)) for seed in range(5)}) == 5
    assert np.mean([len(draw(seed)) for seed in range(300)]) == pytest.approx(40 * 399, rel=0.05)
    assert max(draw(seed)[-1] for seed in range(30)) <= DAY + 60


def test_trace_may_be_unsorted_and_starts_at_zero(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_text("seconds,photos\n12.5,2\n10,1\n")
    assert arrivals.trace(file).tolist() == [0, 2.5, 2.5]
    file.write_text("seconds\n3\n4\n")
    assert arrivals.trace(file).tolist() == [0, 1]


def test_busy_machines_end_the_swinging_of_a_high_target() -> None:
    photos = arrivals.constant(40, 3 * HOUR, np.random.default_rng(1))
    scenario = Scenario(photos, maximum=10, sends_per_second=0)
    shipped = policy.shipped(480)
    backlog_alone = replace(shipped, tracking=shipped.tracking[:1])
    assert simulate(scenario, shipped).launches <= 10
    assert simulate(scenario, backlog_alone).launches > 20


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs the command, checks its picture and returns its output."""

    def run(*arguments: str) -> str:
        call_command("simulate_scaling", "--png", str(tmp_path / "new" / "plot.png"), *arguments)
        with Image.open(tmp_path / "new" / "plot.png") as plot:
            assert "95 % within" in plot.info["Description"]
        return capsys.readouterr().out

    return run


def test_command_prints_row_per_target_and_draws(command: Callable[..., str]) -> None:
    said = command("--shape", "burst", "--photos", "50", "--slots", "1", "--targets", "5", "10", "20")
    rows = [line.split() for line in said.splitlines() if line.strip()[:1].isdigit()][1:]
    assert [(row[0], row[-4]) for row in rows] == [("5", "4"), ("10", "4"), ("20", "3")]


def _objects(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    """Return what the command prints with --json."""
    call_command("simulate_scaling", "--json", *arguments)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


CONTRACT = {
    *("policy", "load", "photos", "p50_s", "p90_s", "p95_s", "p99_s", "share_above", "cold_starts", "launches"),
    *("peak", "machine_hours", "dollars"),
}


def test_json_is_one_object_for_shipped_policy(capsys: pytest.CaptureFixture[str]) -> None:
    (one,) = _objects(capsys, "--shape", "burst", "--photos", "50", "--latency", "30")
    assert set(one) >= CONTRACT
    assert (one["policy"], one["load"], one["photos"]) == ("shipped", "burst of 50 in 10 s", 50)
    assert (one["share_above"], one["cold_starts"]) == (1.0, 1)
    assert one["p50_s"] <= one["p90_s"] <= one["p95_s"] <= one["p99_s"]


def test_json_has_object_for_each_policy_and_target(capsys: pytest.CaptureFixture[str]) -> None:
    policies = ["--policy", "shipped", "keep-warm-off", "--targets", "5", "10"]
    found = _objects(capsys, "--shape", "constant", "--rate", "6/h", "--hours", "3", *policies)
    names = [f"{name}, target {target}" for name in ("shipped", "keep-warm-off") for target in (5, 10)]
    assert [one["policy"] for one in found] == names
    assert found[0]["cold_starts"] < found[2]["cold_starts"]


@pytest.mark.slow
def test_comparison_has_row_for_each_load_and_policy(
    command: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {name: compare.LOADS[name] for name in ("200/day", "burst of 300")}
    monkeypatch.setattr(compare, "LOADS", few)
    said = command("--compare", "--max", "2")
    rows = [line.split("  ")[0] for line in said.splitlines() if "shipped" in line or "keep-warm-off" in line]
    assert rows == ["200/day", "200/day", "burst of 300", "burst of 300"]


def test_bot_respects_its_sending_limits() -> None:
    fast = Machine(slots=100, service_seconds=0.01, service_variation=0, boot_seconds=0)
    photos = np.sort([*np.full(10, 100.0), 103.0])
    result = simulate(Scenario(photos, fast, minimum=1, sends_per_second=2), POLICIES)
    assert result.latencies == pytest.approx([*(0.01 + 0.5 * turn for turn in range(10)), 2.01])
    free = simulate(Scenario(photos, fast, minimum=1, sends_per_second=0), POLICIES)
    assert free.latencies == pytest.approx([0.01] * 11)


def test_long_waits_cold_starts_and_busy_time_are_counted() -> None:
    result = simulate(Scenario(np.array([0.0, 200, 4000]), SLOW), POLICIES)
    assert (result.cold_starts, result.busy_seconds) == (2, 3)
    assert result.share_above(30) == pytest.approx(2 / 3)
    assert result.busy_share == pytest.approx(3 / result.machine_seconds)
    minimum = simulate(Scenario(np.array([0.0]), SLOW, minimum=1), POLICIES)
    assert (minimum.cold_starts, minimum.share_above(30)) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--targets", "0"], "BACKLOG_TARGET"),
        (["--targets", "-1"], "BACKLOG_TARGET"),
        (["--min", "5", "--max", "4"], "minimum 5, maximum 4"),
        (["--max", "0"], "maximum"),
        (["--rate", "fast"], "rate 'fast'"),
        (["--rate", "9999999/s"], "number of photos"),
        (["--hours", "0"], "time"),
        (["--shape", "burst", "--photos", "-5"], "photos of the burst"),
        (["--trace", "no/such.csv"], "no/such.csv"),
        (["--slots", "0"], "slots"),
        (["--service-seconds", "nan"], "service seconds"),
        (["--boot-seconds", "-1"], "boot_seconds"),
        (["--publish-seconds", "0"], "publish seconds"),
        (["--period-seconds", "0"], "period"),
        (["--keep-warm", "-1"], "KEEP_WARM_SECONDS is -1"),
        (["--keep-warm", "nan"], "KEEP_WARM_SECONDS is nan"),
        (["--period-seconds", "10"], "publish seconds 30.*period 10"),
        (["--metric-delay-seconds", "31"], "metric delay 31"),
        (["--latency", "0"], "acceptable latency"),
        (["--percentile", "101"], "--percentile 101"),
        (["--sends-per-second", "-1"], "sends per second is -1"),
        (["--json", "--latency", "nan"], "acceptable latency"),
    ],
)
def test_bad_input_is_named(arguments: list[str], name: str) -> None:
    with pytest.raises(CommandError, match=name):
        call_command("simulate_scaling", *arguments)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "no column `seconds`"),
        ("at\n1\n", "no column `seconds`"),
        ("seconds\n", "no photos"),
        ("seconds\n1\nsoon\n", "line 3.*soon"),
        ("seconds,photos\n1,many\n", "line 2.*many"),
        ("seconds,photos\n1,-4\n", "line 2.*-4"),
        ("seconds\nnan\n", "line 2"),
    ],
)
def test_bad_trace_is_named_with_its_line(tmp_path: Path, text: str, name: str) -> None:
    file = tmp_path / "trace.csv"
    file.write_text(text)
    with pytest.raises(BadSetting, match=name):
        arrivals.trace(file)


def test_bad_input_ends_with_one_line_and_no_traceback() -> None:
    ended = forked.manage(["simulate_scaling", "--targets", "0"], ROOT, os.environ)
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
