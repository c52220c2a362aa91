"""Put the sites behind ministack's Application Load Balancer, whose data plane forwards real requests."""

from collections.abc import Sequence

from botsite import aws


def create(name: str, endpoint: str, sites: Sequence[tuple[str, int]]) -> str:
    """Make a load balancer with an HTTP listener in front of `sites` (host, port); return its address.

    ministack tells targets apart by host alone, and has the balancer's name in the path instead of in DNS.
    """
    elb = aws.client("elbv2")
    balancer = elb.create_load_balancer(Name=name, Subnets=["subnet-a", "subnet-b"])["LoadBalancers"][0]
    group = elb.create_target_group(
        Name=f"{name}-sites", Protocol="HTTP", Port=80, TargetType="ip", VpcId="vpc-local", HealthCheckPath="/readyz"
    )["TargetGroups"][0]
    elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}],
    )
    elb.register_targets(
        TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": host, "Port": port} for host, port in sites]
    )
    return f"{endpoint}/_alb/{name}"
