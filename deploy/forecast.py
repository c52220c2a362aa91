"""Forecast what a load costs in a month with each machine type, by simulating a day of it."""

from collections.abc import Mapping

import numpy as np

from metrics import backlog, policy
from metrics.backlog import positive
from metrics.machine_types import COMPARED, HOURS_A_MONTH, TYPES
from metrics.policy import Policies
from metrics.simulator import arrivals, by_type
from metrics.simulator.by_type import Estimate
from metrics.simulator.scenario import Scenario

DAYS_A_MONTH = HOURS_A_MONTH / 24
# Twice what Telegram takes from one bot.
PHOTOS_A_DAY_AT_MOST = 5_000_000


def of_day(photos: int, names: Mapping[str, str]) -> list[Estimate]:
    """Return a day's estimate for each type, and for the service's own; `names` are the stacks' parameters.

    Photos come in a daily wave, at twice its mean by noon and hardly any at night. Raise BadSetting.
    """
    positive("photos per day", photos, PHOTOS_A_DAY_AT_MOST)
    scenario = Scenario(
        arrivals.wave(photos / arrivals.DAY, arrivals.DAY, np.random.default_rng(1)),
        maximum=int(names["MaxWorkers"]),
        warm_pool=int(names["WarmMachines"]),
        publish_seconds=float(names["MetricSeconds"]),
        keep_warm_seconds=float(names["KeepWarmSeconds"]),
        # It delays answers, and no machine works or waits longer for it.
        sends_per_second=0,
    )
    kinds = dict.fromkeys([*COMPARED, *([names["WorkerType"]] if names["WorkerType"] in TYPES else [])])
    return list(by_type.estimates(scenario, lambda speed: _policies(names, speed), [TYPES[name] for name in kinds]))


def _policies(names: Mapping[str, str], speed: float) -> Policies:
    goal = float(names["LatencyGoalSeconds"])
    target = float(names["BacklogTarget"]) or backlog.acceptable(goal, float(names["PhotosPerSecond"]) or speed)
    return policy.shipped(target, float(names["MetricSeconds"]), float(names["WarmupSeconds"]))
