"""The CPU time of a process is divided among its photos, and what it uses while it waits counts for none."""

from detection.work.process import Meter


class Clock:
    """The process's CPU time, in seconds; each test says what is used."""

    def __init__(self) -> None:
        self.used = 5.0

    def __call__(self) -> float:
        return self.used

    def use(self, seconds: float) -> None:
        self.used += seconds


def test_lone_photo_gets_all_cpu_time_of_its_span() -> None:
    clock = Clock()
    meter = Meter(clock)
    for seconds in (0.05, 0.03):
        clock.use(7)
        with meter.photo() as cpu_ms:
            clock.use(seconds)
            assert cpu_ms() == round(seconds * 1000)


def test_concurrent_photos_share_cpu_time_without_overlap() -> None:
    clock = Clock()
    meter = Meter(clock)
    with meter.photo() as first, meter.photo() as second:
        clock.use(0.06)
        taken = first()
        clock.use(0.04)
        taken += second()
    assert taken == 100


def test_failed_photo_leaves_its_time_to_its_neighbour() -> None:
    clock = Clock()
    meter = Meter(clock)
    with meter.photo() as lasting:
        with meter.photo():
            clock.use(0.02)
        assert lasting() == 20
    with meter.photo() as later:
        assert later() == 0
