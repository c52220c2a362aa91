"""What machine types cost and how fast they work: `provision --plan` and the simulator count money alike.

List prices in us-east-1, in US dollars, before taxes and free tiers, copied by hand from the pages named here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

AS_OF = "November 2025"
REGION = "us-east-1"
# As calculator.aws counts a month: 365 days of 24 hours, divided by 12.
HOURS_A_MONTH = 730

# aws.amazon.com/ec2/pricing/on-demand, "T2/T3/T4g unlimited mode": processor time beyond a burstable machine's credits.
SURPLUS_VCPU_HOUR = 0.05
# aws.amazon.com/vpc/pricing, every public IPv4 address in use.
ADDRESS_HOUR = 0.005
# aws.amazon.com/ebs/pricing, gp3 volumes.
VOLUME_GB_MONTH = 0.08
WORKER_DISK_GB = 16

# The worker's CPU time for a photo, on one core with the model that the images ship, in its square (docs/speed.md). It
# depends on the instructions a core has: T3's compute an fp16 model in f32, later ones in bf16.
_MS_IN_F32, _MS_IN_BF16 = 55.0, 40.0


@dataclass(frozen=True, slots=True)
class MachineType:
    """A type's price and speed. `cores` are whole ones: of x86 types, two vCPUs are two threads of one core.

    `earned` is the share of each vCPU's time that comes with the price, as credits; the rest is paid for.
    """

    name: str
    dollars_per_hour: float
    vcpus: int = 2
    cores: int = 1
    earned: float = 1.0
    photo_ms: float = _MS_IN_BF16
    # The images are for x86-64.
    arm: bool = False

    @property
    def photos_per_second(self) -> float:
        """Return the throughput of a busy machine, of two digits: a second thread of a core counts for nothing."""
        return float(f"{1000 * self.cores / self.photo_ms:.2g}")

    def dollars(self, seconds: float, busy_seconds: float, disk_gb: float = WORKER_DISK_GB) -> float:
        """Return the cost of a machine from launch to end, with its address and disk; all vCPUs work while it is busy.

        Credits add up for a day, which is longer than most workers live: what is earned at any time counts.
        """
        hours = seconds / 3600 * (self.dollars_per_hour + ADDRESS_HOUR)
        return hours + self.surplus(seconds, busy_seconds) + disk(seconds, disk_gb)

    def surplus(self, seconds: float, busy_seconds: float) -> float:
        """Return the cost of the processor time beyond what a machine earns in so many seconds."""
        return self.vcpus * max(0.0, busy_seconds - self.earned * seconds) / 3600 * SURPLUS_VCPU_HOUR

    @property
    def busy_month(self) -> float:
        """Return the cost of a machine that works day and night for a month."""
        seconds = HOURS_A_MONTH * 3600
        return self.dollars(seconds, seconds)


def disk(seconds: float, gigabytes: float = WORKER_DISK_GB) -> float:
    """Return the cost of a disk, which a stopped machine keeps."""
    return seconds / 3600 * gigabytes * VOLUME_GB_MONTH / HOURS_A_MONTH


def _t3(size: str, dollars_per_hour: float, earned: float) -> MachineType:
    return MachineType(f"t3.{size}", dollars_per_hour, earned=earned, photo_ms=_MS_IN_F32)


# aws.amazon.com/ec2/pricing/on-demand, Linux, by the hour; cores and credits: aws.amazon.com/ec2/instance-types.
TYPES: Mapping[str, MachineType] = {
    one.name: one
    for one in (
        _t3("nano", 0.0052, 0.05),
        _t3("micro", 0.0104, 0.1),
        _t3("small", 0.0208, 0.2),
        _t3("medium", 0.0416, 0.2),
        _t3("large", 0.0832, 0.3),
        MachineType("c7i-flex.large", 0.08479),
        MachineType("c7i.large", 0.08925),
        MachineType("c7i.xlarge", 0.1785, vcpus=4, cores=2),
        MachineType("c7g.medium", 0.0363, vcpus=1, arm=True),
        MachineType("c7g.large", 0.0725, cores=2, arm=True),
    )
}
# For which a load is priced.
COMPARED = ("t3.micro", "t3.small", "c7i-flex.large", "c7g.medium", "c7g.large")
