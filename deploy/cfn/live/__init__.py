"""Read the live settings of a resource, in the form of its template.

`READERS[type](physical id, properties in the template)` returns its properties, without those that can't be read.
"""

from collections.abc import Callable, Mapping
from typing import Any

from deploy.cfn.live import balancer, data, machines
from deploy.cfn.live.names import last_part as last_part

Reader = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]

READERS: Mapping[str, Reader] = {
    "AWS::SQS::Queue": data.queue,
    "AWS::DynamoDB::Table": data.table,
    "AWS::S3::Bucket": data.bucket,
    "AWS::Logs::LogGroup": data.log_group,
    "AWS::EC2::SecurityGroup": machines.security_group,
    "AWS::EC2::LaunchTemplate": machines.launch_template,
    "AWS::AutoScaling::AutoScalingGroup": machines.group,
    "AWS::AutoScaling::LifecycleHook": machines.hook,
    "AWS::AutoScaling::ScalingPolicy": machines.policy,
    "AWS::AutoScaling::WarmPool": machines.warm_pool,
    "AWS::CloudWatch::Alarm": machines.alarm,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": balancer.balancer,
    "AWS::ElasticLoadBalancingV2::TargetGroup": balancer.target_group,
    "AWS::ElasticLoadBalancingV2::Listener": balancer.listener,
    "AWS::ElasticLoadBalancingV2::ListenerRule": balancer.rule,
}
