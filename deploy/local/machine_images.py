"""Have ministack tell when an image was made, by the millisecond as EC2 does; this runs in the emulator's process."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ministack.services import ec2

Answer = tuple[int, dict[str, str], bytes]
_ID = re.compile(rb"<imageId>(ami-\w+)</imageId>")
_register, _describe = ec2._register_image, ec2._describe_images


def install() -> None:
    """Add the times; call this before the emulator starts."""
    ec2._ACTION_MAP |= {"RegisterImage": _register_with_time, "DescribeImages": _describe_with_times}


def _register_with_time(params: Mapping[str, Any]) -> Answer:
    answer: Answer = _register(params)
    if found := _ID.search(answer[2]):
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        ec2._images[found[1].decode()]["CreationDate"] = now
    return answer


def _describe_with_times(params: Mapping[str, Any]) -> Answer:
    status, headers, body = _describe(params)

    def timed(found: re.Match[bytes]) -> bytes:
        made = ec2._images.get(found[1].decode(), {}).get("CreationDate", "")
        return found[0] + f"<creationDate>{made}</creationDate>".encode() if made else found[0]

    return status, headers, _ID.sub(timed, body)
