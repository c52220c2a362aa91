"""Make the calls of a deployer in repeatable steps; `prepare` first sets up what they need."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from botocore.exceptions import ClientError

from botsite import aws
from deploy import budget, stacks, teardown
from deploy.budget import MonthlyBudget
from deploy.certificates import acm, domains, validation
from deploy.cfn import cloudformation, existence, hold, remedies
from deploy.doctor import checks
from deploy.images import ami, bake, builder, rollout, spec
from deploy.images.ami import Image
from deploy.images.spec import ImageSpec
from deploy.service import Service
from metrics import cloudwatch
from tests.support import arns
from tests.support.provisioning import run, run_provision

_numbers = itertools.count(2)
_DOMAIN = "bot.example.com"
# Its certificates come and go, while the service keeps its own.
_CERTIFIED = Service("certs")
Factory = Callable[[str], Any]


@dataclass
class Deployer:
    """Somebody who deploys a service and its certificates; `root` makes clients that may do everything."""

    service: Service
    root: Factory
    zone: str
    folder: str = "bakes/test"
    snapshot: str = ""
    arns: tuple[str, ...] = ()

    def prepare(self) -> None:
        """Lay out an image's snapshot, a log group without a stack, and files in the bucket."""
        ec2, logs, tags = self.root("ec2"), self.root("logs"), self.service.tags()
        volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
        self.snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
        name = f"/{self.service}/old"
        if not logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]:
            logs.create_log_group(logGroupName=name, tags=tags)
        self._restore()
        self.root("s3").put_object(Bucket=self.bucket, Key="photos/1", Body=b"x")
        self._without_certificate()
        self._protect()
        self.arns = self.arns or (*arns.of(self.service), *self._more())

    @property
    def bucket(self) -> str:
        """Return the name of the bucket."""
        return f"{self.service}-images-000000000000-us-east-1"

    def change(self) -> None:
        """Provision a change and a new stack, which the next change finds deleted."""
        number = f"JobsMaxReceives={next(_numbers)}"
        # The check of rights would find a missing one first.
        run_provision(self.service.prefix, "--self-signed", "--unchecked", "--parameter", number)
        cloudformation.delete(self.service.stack("alarms"), stacks.silent)

    def look(self) -> None:
        """Plan, check and examine."""
        run("provision", "--prefix", self.service.prefix, "--plan")
        run("teardown", "--prefix", self.service.prefix, "--plan")
        run("stack_env", "--prefix", self.service.prefix)
        run("rollback", "--list", "--prefix", self.service.prefix)
        # No machine runs here for the route, and there are no quotas.
        for finding in checks.run(self.service, [name for name in checks.CHECKS if name not in ("route", "quotas")]):
            assert "these credentials lack" not in finding.seen, finding.seen

    def bake(self) -> None:
        """Launch a builder, stop it, make an image, and remove it all; the emulator makes no images."""
        where = spec.place(self.service)
        aws.client("s3").upload_fileobj(BytesIO(b"x"), where.bucket, f"{self.folder}/source.tar.gz")
        instance = builder.launch(self.service, where, ImageSpec("yolo5", "v1"), f"{self.folder}/{next(_numbers)}")
        builder.stop(instance)
        _permitted(lambda: ami.create(self.service, "yolo5", "v1", instance, lambda text: None))
        _permitted(lambda: ami.remove(Image("ami-1", "", "", "", ())))
        ami.remove_snapshot(self.snapshot)
        builder.read(where.bucket, f"{self.folder}/objdet.json")
        bake.keep_listed(where.bucket, "test", "{}")
        builder.end([builder.launch(self.service, where, ImageSpec("yolo5", "v1"), f"{self.folder}/{next(_numbers)}")])
        aws.s3().Bucket(where.bucket).objects.filter(Prefix=self.folder).delete()

    def replace(self) -> None:
        """Replace the machines of a group, and go back to an earlier image."""
        group = self.service.output("web", "PolybotGroupName")
        rollout.outdated(group)
        rollout.start(group)
        aws.client("autoscaling").describe_instance_refreshes(AutoScalingGroupName=group)
        _permitted(lambda: aws.client("autoscaling").cancel_instance_refresh(AutoScalingGroupName=group))
        ami.withdraw([Image("ami-1", "", "", "", ())], "me")
        ami.readmit(Image("ami-1", "", "", "", (), {ami.WITHDRAWN: "now"}))
        self._keep_hold(self.service.output("workers", "Yolo5GroupName"))

    def _keep_hold(self, name: str) -> None:
        """Raise the minimum of a held group again, which a deployment has set back."""
        root, group = self.root("autoscaling"), {"AutoScalingGroupName": name}
        action = {**group, "ScheduledActionName": "hold 1 by somebody"}
        until = datetime.now(UTC) + timedelta(hours=1)
        root.put_scheduled_update_group_action(**action, StartTime=until, MinSize=0)
        try:
            hold.keep(cloudwatch.groups(name)[name])
        finally:
            root.delete_scheduled_action(**action)
            root.update_auto_scaling_group(**group, MinSize=0)

    def certify(self) -> None:
        """Get a certificate for a domain, and delete it and its record."""
        acm.ensure_self_signed(_CERTIFIED, _DOMAIN)
        domains.ensure_public(_CERTIFIED, _DOMAIN, self.zone)
        for state in acm.ours(_CERTIFIED, "AMAZON_ISSUED"):
            validation.remove(state)
        acm.delete(_CERTIFIED)

    def rotate(self) -> None:
        """Rotate a secret."""
        run("rotate", "results-key", "--yes", "--prefix", self.service.prefix)

    def budget(self) -> None:
        """Make a budget, change what it allows, and remove it."""
        budget.remove(self.service)
        budget.create(MonthlyBudget(self.service, 10, tagged=False), "a@example.com")
        budget.keep(self.service, 20)
        budget.remove(self.service)

    def clear(self) -> None:
        """Empty the bucket, delete what no stack holds, and lift what protects the rest."""
        stacks.lift_protection(self.service.stack("storage"))
        teardown.delete_copies(self.service, stacks.silent)
        stacks._empty(self.bucket)
        if self.root("s3").list_objects_v2(Bucket=self.bucket)["KeyCount"]:
            # Deleting many objects at once raises nothing.
            raise AssertionError("AccessDenied: the bucket is not empty")
        for name, _ in list(teardown.log_groups(self.service)):
            if name.endswith("/old"):
                aws.client("logs").delete_log_group(logGroupName=name)

    def verify(self) -> None:
        """Ask for each resource whether it is there."""
        teardown._tagged(self.service)
        for arn in self.arns:
            existence.alive(arn)

    def _restore(self) -> None:
        """Leave a copy of the table behind, as somebody does who has restored it."""
        dynamodb, name = self.root("dynamodb"), f"{self.service}-predictions-restored"
        if name not in dynamodb.list_tables()["TableNames"]:
            dynamodb.create_table(
                TableName=name,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": "prediction_id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "prediction_id", "AttributeType": "S"}],
            )

    def _without_certificate(self) -> None:
        """Delete the domain's certificate and record, which an interrupted run left."""
        acm_, dns = self.root("acm"), self.root("route53")
        for one in acm_.list_certificates()["CertificateSummaryList"]:
            tags = acm_.list_tags_for_certificate(CertificateArn=one["CertificateArn"])["Tags"]
            if _CERTIFIED.tag_list()[0] in tags:
                acm_.delete_certificate(CertificateArn=one["CertificateArn"])
        records = dns.list_resource_record_sets(HostedZoneId=self.zone)["ResourceRecordSets"]
        gone = [{"Action": "DELETE", "ResourceRecordSet": one} for one in records if one["Type"] == "CNAME"]
        if gone:
            dns.change_resource_record_sets(HostedZoneId=self.zone, ChangeBatch={"Changes": gone})

    def _protect(self) -> None:
        """Put back the protection that `clear` has lifted."""
        stack = f"{self.service}-storage"
        self.root("cloudformation").update_termination_protection(StackName=stack, EnableTerminationProtection=True)
        self.root("dynamodb").update_table(TableName=f"{self.service}-predictions", DeletionProtectionEnabled=True)

    def _more(self) -> list[str]:
        """Return ARNs of what no stack holds: what is gone is asked about, too."""
        kinds = ("image/ami", "instance/i", "network-interface/eni", "security-group-rule/sgr", "volume/vol")
        gone = [f"{one}-0123456789abcdef0" for one in kinds]
        return [f"arn:aws:ec2:us-east-1:000000000000:{one}" for one in (*gone, f"snapshot/{self.snapshot}")]


PIECES: Mapping[str, Callable[[Deployer], None]] = {
    "change": Deployer.change,
    "look": Deployer.look,
    "bake": Deployer.bake,
    "replace": Deployer.replace,
    "certify": Deployer.certify,
    "rotate": Deployer.rotate,
    "budget": Deployer.budget,
    "clear": Deployer.clear,
    "verify": Deployer.verify,
}


def _permitted(call: Callable[[], object]) -> None:
    """Call what the emulator can't do; only a refusal is an error."""
    try:
        call()
    except ClientError as error:
        if remedies.denied_action(error):
            raise
