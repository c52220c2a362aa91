"""Name what a service has in AWS, as the tagging API does."""

from deploy import stacks
from deploy.cfn import cloudformation
from deploy.service import Service
from tests.support import emulators

# The ARN of a resource in a stack, by its type and physical id; None where it has none, or it is another resource's.
_ARNS: dict[str, str | None] = {
    "AWS::AutoScaling::AutoScalingGroup": "autoscaling:R:A:autoScalingGroup:1-2:autoScalingGroupName/ID",
    "AWS::AutoScaling::LifecycleHook": None,
    "AWS::AutoScaling::ScalingPolicy": None,
    "AWS::AutoScaling::WarmPool": None,
    "AWS::CloudWatch::Alarm": "cloudwatch:R:A:alarm:ID",
    "AWS::CloudWatch::Dashboard": "cloudwatch::A:dashboard/ID",
    "AWS::DynamoDB::Table": "dynamodb:R:A:table/ID",
    "AWS::EC2::InternetGateway": "ec2:R:A:internet-gateway/ID",
    "AWS::EC2::LaunchTemplate": "ec2:R:A:launch-template/ID",
    "AWS::EC2::Route": None,
    "AWS::EC2::RouteTable": "ec2:R:A:route-table/ID",
    "AWS::EC2::SecurityGroup": "ec2:R:A:security-group/ID",
    "AWS::EC2::Subnet": "ec2:R:A:subnet/ID",
    "AWS::EC2::SubnetRouteTableAssociation": None,
    "AWS::EC2::VPC": "ec2:R:A:vpc/ID",
    "AWS::EC2::VPCEndpoint": "ec2:R:A:vpc-endpoint/ID",
    "AWS::EC2::VPCGatewayAttachment": None,
    "AWS::ElasticLoadBalancingV2::Listener": "ID",
    "AWS::ElasticLoadBalancingV2::ListenerRule": "ID",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "ID",
    "AWS::ElasticLoadBalancingV2::TargetGroup": "ID",
    "AWS::IAM::InstanceProfile": "iam::A:instance-profile/ID",
    "AWS::IAM::ManagedPolicy": "ID",
    "AWS::IAM::Role": "iam::A:role/ID",
    "AWS::Logs::LogGroup": "logs:R:A:log-group:ID",
    "AWS::S3::Bucket": "s3:::ID",
    "AWS::S3::BucketPolicy": None,
    "AWS::SNS::Topic": "ID",
    "AWS::SQS::Queue": "sqs:R:A:ID",
    "AWS::SecretsManager::Secret": "secretsmanager:R:A:secret:ID",
}


def of(service: Service) -> list[str]:
    """Return the ARNs of the service's stacks and of all that is in them."""
    found = []
    for part in stacks.order():
        stack = service.stack(part)
        found.append(stack.id)
        physical = cloudformation.physical_ids(stack)
        for one in cloudformation.resources(stack):
            if pattern := _ARNS[one.type]:
                identity = physical[one.logical_id].rpartition("/")[2] if pattern.startswith("sqs") else ""
                name = identity or physical[one.logical_id]
                arn = pattern.replace(":R:", ":us-east-1:").replace(":A:", f":{emulators.account()}:")
                found.append(name if arn == "ID" else f"arn:aws:{arn.removesuffix('ID')}{name}")
    return found
