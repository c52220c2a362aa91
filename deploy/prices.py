"""AWS's list prices in us-east-1, in US dollars, before taxes and free tiers.

Copied by hand from the pages named here: other regions differ by some tens of per cent, and AWS changes its prices.
Not included: the load balancer's capacity units, requests to KMS, DNS.
"""

AS_OF = "November 2025"
REGION = "us-east-1"
# As calculator.aws counts a month: 365 days of 24 hours, divided by 12.
HOURS_A_MONTH = 730

# aws.amazon.com/ec2/pricing/on-demand, Linux, by the hour.
INSTANCE_HOUR = {
    "t3.nano": 0.0052,
    "t3.micro": 0.0104,
    "t3.small": 0.0208,
    "t3.medium": 0.0416,
    "t3.large": 0.0832,
    "c7i.large": 0.08925,
    "c7i.xlarge": 0.1785,
}
# The same page, "T2/T3/T4g unlimited mode": processor time beyond a burstable instance's credits.
SURPLUS_VCPU_HOUR = 0.05
# aws.amazon.com/vpc/pricing, every public IPv4 address in use.
ADDRESS_HOUR = 0.005
# aws.amazon.com/ebs/pricing, gp3 volumes and snapshots.
VOLUME_GB_MONTH = 0.08
SNAPSHOT_GB_MONTH = 0.05
# aws.amazon.com/elasticloadbalancing/pricing, Application Load Balancer.
BALANCER_HOUR = 0.0225
# aws.amazon.com/secrets-manager/pricing
SECRET_MONTH = 0.40
# aws.amazon.com/cloudwatch/pricing
METRIC_MONTH = 0.30
ALARM_MONTH = 0.10
FAST_ALARM_MONTH = 0.30
DASHBOARD_MONTH = 3.00
PUT_METRIC_REQUEST = 0.01 / 1000
LOG_GB = 0.50
# aws.amazon.com/sqs/pricing, standard queues.
QUEUE_REQUEST = 0.40 / 1_000_000
# aws.amazon.com/dynamodb/pricing/on-demand, Standard table class.
TABLE_WRITE = 0.625 / 1_000_000
TABLE_READ = 0.125 / 1_000_000
# aws.amazon.com/s3/pricing, S3 Standard.
OBJECT_PUT = 0.005 / 1000
OBJECT_GET = 0.0004 / 1000
OBJECT_GB_MONTH = 0.023
# aws.amazon.com/ec2/pricing/on-demand, data transfer to the internet, the first 10 TB a month.
OUT_GB = 0.09
