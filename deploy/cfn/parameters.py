"""Check template parameters before anything is deployed: CloudFormation only checks them stack by stack."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

from deploy.cfn.cloudformation import StackError
from deploy.cfn.template import Template

# Set by `provision` itself.
_OURS = {"Prefix"}


def check(templates: Iterable[Template], values: Mapping[str, str]) -> None:
    """Raise StackError for a name that no template has, or a value that a template doesn't allow."""
    all_ = [(name, parameter) for text in templates for name, parameter in text.parameters.items()]
    known = {name for name, _ in all_} - _OURS
    if unknown := set(values) - known:
        raise StackError(
            f"Unknown parameter {', '.join(sorted(unknown))}. The templates have {', '.join(sorted(known))}."
        )
    for name, parameter in all_:
        if name in values and name not in _OURS and (reason := wrong(values[name], parameter)):
            raise StackError(f"{name} can't be {values[name]!r}: it has to be {reason}. {parameter['Description']}")


def wrong(value: str, parameter: Mapping[str, Any]) -> str:
    """Return what the value has to be ("a number from 1"), empty if it is valid."""
    if "AllowedValues" in parameter and value not in map(str, parameter["AllowedValues"]):
        return f"one of {', '.join(map(str, parameter['AllowedValues']))}"
    if "AllowedPattern" in parameter and not re.search(parameter["AllowedPattern"], value):
        return str(parameter.get("ConstraintDescription", f"a match of {parameter['AllowedPattern']}"))
    if "CIDR" in parameter.get("ConstraintDescription", "") and value and not _cidr(value):
        return str(parameter["ConstraintDescription"])
    if parameter["Type"] == "AWS::EC2::Image::Id" and not re.fullmatch(r"ami-[0-9a-f]+", value):
        return "the id of an AMI, such as ami-0123456789abcdef0"
    return _wrong_number(value, parameter) if parameter["Type"] == "Number" else ""


def _cidr(value: str) -> bool:
    """Return whether these are addresses: a pattern takes 999.2.3.4/32, too."""
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return True


def _wrong_number(value: str, parameter: Mapping[str, Any]) -> str:
    least, most = parameter.get("MinValue"), parameter.get("MaxValue")
    bounds = "".join(f" {word} {one}" for word, one in (("from", least), ("to", most)) if one is not None)
    if not re.fullmatch(r"-?\d+(\.\d+)?", value):
        return f"a number{bounds}"
    too_small = least is not None and float(value) < least
    return f"a number{bounds}" if too_small or (most is not None and float(value) > most) else ""
