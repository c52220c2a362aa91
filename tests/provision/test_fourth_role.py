"""A role is a row: with another one, and its template, the service has a fourth role everywhere."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError

from botsite import roles, settings
from deploy import provision, rollback, stacks
from deploy.cfn import template
from deploy.doctor import machines as machines_check
from deploy.images import spec
from deploy.images.spec import BuilderPlace, ImageSpec
from deploy.operate import machines
from deploy.preflight.machines import wanted_by
from deploy.provision import Order
from deploy.service import Service
from metrics import service as metrics_service
from tests.support import local_images
from tests.support.provisioning import run

COUNTER = replace(
    roles.METRIC_STREAMER,
    name="photoCounter",
    short="counter",
    part="counter",
    image_parameter="CounterImageId",
    type_parameter="CounterType",
    group_output="CounterGroupName",
    container=roles.Container("9000:9000", stop_seconds=20, disk_gib=9),
    needs=("JOBS_QUEUE_URL", "COUNTED_BY"),
    always=3,
)


@pytest.fixture
def service(prefix: str, templates: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service that has a fourth role, not deployed yet."""
    monkeypatch.setattr(roles, "ROLES", (*roles.ROLES, COUNTER))
    shutil.copy(Path(__file__).with_name("counter.yaml"), templates)
    return Service(prefix)


def test_fourth_role_is_deployed_shown_and_rolled_back(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    first = local_images.register(service, "counter", "1.0", Commit="a")
    done = provision.deploy(service)
    assert done == {f"{service}-{part}": "created" for part in stacks.order()}
    assert service.stack("counter").parameters["CounterImageId"] == first
    assert "photoCounter" in str(machines.read_machines(service).data)
    monkeypatch.setattr(django_settings, "ASG_NAME", roles.YOLO5.group(service))
    assert metrics_service.fleet()["photoCounter"].desired == 3
    second = local_images.register(service, "counter", "1.1", Commit="b")
    assert machines_check.compare_images(service).seen.startswith(f"new instances of counter start from {first}")
    assert provision.deploy(service)[f"{service}-counter"] == "updated"
    [step] = rollback.steps(service, ["counter"])
    assert (step.left.id, step.target.id) == (second, first)
    rollback.carry_out(service, step, "somebody")
    assert service.stack("counter").parameters["CounterImageId"] == first
    assert f"{service}-counter" in stacks.delete(service)


def test_fourth_role_is_planned_and_counted(service: Service) -> None:
    found = wanted_by(Order(service), "t3.medium")
    assert (found.types["counter"], found.counts["counter"]) == ("t3.small", 3)
    assert f"{service}-counter" in run("provision", "--prefix", service.prefix, "--plan")


def test_fourth_role_is_a_choice_of_commands(service: Service) -> None:
    for command in (("logs",), ("exec",), ("rollback",), ("bake_ami",), ("provision", "--rebake")):
        with pytest.raises(CommandError, match=r"'tracker' is no role: .*, photoCounter\."):
            run(*command, "tracker", "--prefix", service.prefix)


def test_fourth_role_is_baked_with_its_own_container(service: Service) -> None:
    script = spec.user_data(BuilderPlace("", "", "", "", ""), ImageSpec("counter", "v1"), "bakes/x")
    assert {"ROLE=counter", "PUBLISH=9000:9000", "STOP_SECONDS=20", "UNIT_STOP_SECONDS=30"} <= {*script.splitlines()}


def test_fourth_role_says_what_it_needs(service: Service) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"The photoCounter role can't start without .*COUNTED_BY"):
        settings.require("photoCounter")


@pytest.mark.parametrize("role", roles.ROLES, ids=lambda role: role.name)
def test_template_has_what_its_row_says(role: roles.Role) -> None:
    text = template.read(stacks.TEMPLATES / f"{role.part}.yaml")
    given = text.names({"Prefix": "objdet"})
    made = {one["Type"]: text.resolve(one["Properties"], given) for one in text.resources(given).values()}
    group, logs = made["AWS::AutoScaling::AutoScalingGroup"], made["AWS::Logs::LogGroup"]
    assert (group["AutoScalingGroupName"], int(group["MinSize"])) == (role.group("objdet"), role.always)
    assert logs["LogGroupName"] == role.log_group("objdet")
    assert {role.image_parameter, role.type_parameter, role.most_parameter or "Prefix"} <= text.parameters.keys()


def test_sites_link_to_logs_of_every_role() -> None:
    [line] = [one for one in (stacks.TEMPLATES / "web.yaml").read_text().splitlines() if "LOG_GROUPS=" in one]
    written = line.partition("=")[2].replace("${PolybotLogs}", "/${Prefix}/polybot").split(",")
    assert written == [role.log_group("${Prefix}") for role in roles.ROLES]
