"""Check this machine's clock against that of AWS."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from botocore.exceptions import ClientError

from botsite import aws
from deploy.doctor.findings import Verdict, failed, ok, unknown, warning
from deploy.service import Service
from detection.work import callback

# A Date header has whole seconds, and the answer takes some time to arrive.
_EXACT_SECONDS = 5


def check(service: Service) -> Verdict:
    """Compare this clock with the Date header of an answer from AWS."""
    before = datetime.now(UTC)
    try:
        answer = aws.client("sts").get_caller_identity()
    except ClientError as error:
        # AWS refuses a wrong clock, and tells the time in the same answer.
        answer = error.response
    header = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
    if not header:
        return unknown("the answer from AWS has no date")
    middle = before + (datetime.now(UTC) - before) / 2
    return judge((middle - parsedate_to_datetime(header)).total_seconds())


def judge(ahead_seconds: float) -> Verdict:
    """Judge how far this clock is ahead (or behind, if negative)."""
    off = abs(ahead_seconds)
    seen = f"this machine's clock is {off:.0f} s {'ahead of' if ahead_seconds > 0 else 'behind'} AWS"
    todo = "Synchronise the clock with NTP (on EC2: chrony with 169.254.169.123, as Amazon Linux has it)."
    if off <= _EXACT_SECONDS:
        return ok("this machine's clock agrees with AWS")
    if off < callback.SIGNATURE_SECONDS / 2:
        return warning(seen, todo)
    return failed(f"{seen}: AWS and the sites refuse signatures older than {callback.SIGNATURE_SECONDS} s", todo)
