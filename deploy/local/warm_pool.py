"""Give ministack warm pools, of which it knows neither the type nor the actions; this runs in the emulator's process.

A pool is part of its group's record. The group takes machines from it before it launches others, and gives back those
that it no longer needs, if they are to be reused.
"""

from collections.abc import Mapping
from typing import Any

from ministack.services import autoscaling
from ministack.services.cloudformation import provisioners

Record = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
_STOPPED, _IN_SERVICE = "Warmed:Stopped", "InService"
_resize, _describe_groups = autoscaling._reconcile_instances, autoscaling._describe_asgs


def install() -> None:
    """Add the type and the actions, and have groups use their pools; call this before the emulator starts."""
    autoscaling._reconcile_instances = _reconcile
    autoscaling._ACTION_MAP |= {
        "PutWarmPool": _put,
        "DescribeWarmPool": _describe,
        "DeleteWarmPool": _delete,
        "DescribeAutoScalingGroups": _describe_groups_with_pools,
    }
    provisioners._RESOURCE_HANDLERS["AWS::AutoScaling::WarmPool"] = {
        "create": lambda logical_id, properties, stack: (_configure(properties), {}),
        "update": lambda name, before, properties, stack: (_configure(properties), {}),
        "delete": lambda name, properties: _drop(name),
    }


def _reconcile(group: Record) -> None:
    """Bring the group to its desired capacity, by way of the pool, and then the pool to its size."""
    instances, desired, settings = group["Instances"], group["DesiredCapacity"], group.get("WarmPool")
    pool: list[Record] = group.setdefault("Pool", [])
    while settings and settings["reuse"] and len(instances) > desired:
        pool.append(instances.pop() | {"LifecycleState": _STOPPED})
    while pool and len(instances) < desired:
        instances.append(pool.pop(0) | {"LifecycleState": _IN_SERVICE})
    _resize(group)
    size = max(settings["minimum"], settings["prepared"] - desired) if settings else 0
    _resize({**group, "Instances": pool, "DesiredCapacity": size})
    for instance in pool:
        instance["LifecycleState"] = _STOPPED


def _configure(properties: Mapping[str, Any]) -> str:
    """Give a group a pool with these properties of a template; return the group's name."""
    name: str = properties["AutoScalingGroupName"]
    group = autoscaling._asgs[name]
    group["WarmPool"] = {
        "minimum": int(properties.get("MinSize") or 0),
        "prepared": int(properties.get("MaxGroupPreparedCapacity") or group["MaxSize"]),
        "state": properties.get("PoolState") or "Stopped",
        "reuse": str(properties.get("InstanceReusePolicy", {}).get("ReuseOnScaleIn")).lower() == "true",
    }
    _reconcile(group)
    return name


def _drop(name: str) -> None:
    if group := autoscaling._asgs.get(name):
        group.pop("WarmPool", None)
        _reconcile(group)


def _put(params: Mapping[str, Any]) -> Answer:
    names = ("AutoScalingGroupName", "MinSize", "MaxGroupPreparedCapacity", "PoolState")
    reuse = {"ReuseOnScaleIn": autoscaling._p(params, "InstanceReusePolicy.ReuseOnScaleIn")}
    _configure({name: autoscaling._p(params, name) for name in names} | {"InstanceReusePolicy": reuse})
    return _answer("PutWarmPool")


def _delete(params: Mapping[str, Any]) -> Answer:
    _drop(autoscaling._p(params, "AutoScalingGroupName"))
    return _answer("DeleteWarmPool")


def _describe(params: Mapping[str, Any]) -> Answer:
    group = autoscaling._asgs.get(autoscaling._p(params, "AutoScalingGroupName"), {})
    if not (settings := group.get("WarmPool")):
        return _answer("DescribeWarmPool", "<Instances/>")
    instances = autoscaling._instances_xml({"Instances": group["Pool"]})
    return _answer("DescribeWarmPool", f"{_configuration(settings)}{instances}")


def _describe_groups_with_pools(params: Mapping[str, Any]) -> Answer:
    status, headers, body = _describe_groups(params)
    for group in autoscaling._asgs.values():
        if settings := group.get("WarmPool"):
            start = f"<AutoScalingGroupARN>{group['AutoScalingGroupARN']}<".encode()
            body = body.replace(start, _configuration(settings).encode() + start)
    return status, headers, body


def _configuration(settings: Mapping[str, Any]) -> str:
    return (
        f"<WarmPoolConfiguration><MinSize>{settings['minimum']}</MinSize><PoolState>{settings['state']}</PoolState>"
        f"<MaxGroupPreparedCapacity>{settings['prepared']}</MaxGroupPreparedCapacity><InstanceReusePolicy>"
        f"<ReuseOnScaleIn>{str(settings['reuse']).lower()}</ReuseOnScaleIn>"
        "</InstanceReusePolicy></WarmPoolConfiguration>"
    )


def _answer(action: str, inner: str = "") -> Answer:
    answer: Answer = autoscaling._xml(200, f"{action}Response", f"<{action}Result>{inner}</{action}Result>")
    return answer
