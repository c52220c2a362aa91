"""AWS's list prices but for machines, which metrics/machine_types.py has; of the same month and region.

Copied by hand from the pages named here: other regions differ by some tens of per cent, and AWS changes its prices.
Not included: the load balancer's capacity units, requests to KMS, DNS.
"""

# aws.amazon.com/ebs/pricing, snapshots.
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
