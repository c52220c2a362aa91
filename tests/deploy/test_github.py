"""What deploy/github/ gives to GitHub: who gets which role, what it may do, and what the workflow runs."""

import base64
import copy
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError

from deploy import budget
from deploy.budget import MonthlyBudget
from deploy.cfn import template
from deploy.service import Service
from tests.support import emulators, judged, operating
from tests.support.emulators import TOKEN, forget_clients
from tests.support.local_aws import clients_of
from tests.support.mutants import mutants
from tests.support.provisioning import run, run_provision

FOLDER = Path(__file__).parents[2] / "deploy" / "github"
ROLES = template.read(FOLDER / "roles.yaml")
GITHUB = "token.actions.githubusercontent.com"
PROVIDER = f"arn:aws:iam::000000000000:oidc-provider/{GITHUB}"
GIVEN = {
    "Prefix": "objdet",
    "Repository": "octo-org/octo-repo",
    "DeployerPolicyArns": "arn:aws:iam::aws:policy/ReadOnlyAccess",
    "ProviderArn": PROVIDER,
}
WORKFLOW: dict[Any, Any] = yaml.safe_load((FOLDER / "deploy.yml").read_text())
JOBS: dict[str, Any] = WORKFLOW["jobs"]
# Subjects as in docs.github.com/actions/reference/security/oidc; the last but one is what `pull_request_target` has.
PLANS, DEPLOYS = "repo:octo-org/octo-repo:pull_request", "repo:octo-org/octo-repo:environment:production"
WHOSE = {"github-objdet-plan": PLANS, "github-objdet-deploy": DEPLOYS}
STRANGERS = (
    "repo:octo-org/other-repo:pull_request",
    "repo:octo-org/other-repo:environment:production",
    "repo:mallory/octo-repo:pull_request",  # a pull request within a fork
    "repo:mallory/octo-repo:environment:production",
    "repo:octo-org/octo-repo-2:environment:production",
    "repo:octo-org@1/octo-repo@2:environment:production",
    "repo:octo-org/octo-repo:environment:staging",
    "repo:octo-org/octo-repo:ref:refs/heads/feature",
    "repo:octo-org/octo-repo:ref:refs/tags/v1",
    "repo:octo-org/octo-repo:ref:refs/heads/main",
    "repo:octo-org/octo-repo:*",
)


def token(subject: str, audience: str = "sts.amazonaws.com", issuer: str = f"https://{GITHUB}") -> str:
    """Return a token with these claims; the emulator looks at no signature."""
    parts = ({"alg": "RS256"}, {"iss": issuer, "aud": audience, "sub": subject})
    return ".".join(
        [*(base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts), "c2ln"]
    )


def admitted(account: Any, role: str, given: str) -> bool:
    """Return whether IAM gives the role for a token."""
    sts, arn = account("sts"), f"arn:aws:iam::000000000000:role/{role}"
    try:
        sts.assume_role_with_web_identity(RoleArn=arn, RoleSessionName="try", WebIdentityToken=given)
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        return False
    return True


def test_each_role_is_for_one_subject(account: Any) -> None:
    every = (PLANS, DEPLOYS, *STRANGERS)
    for role, subject in WHOSE.items():
        assert [one for one in every if admitted(account, role, token(one))] == [subject]
        assert not admitted(account, role, token(subject, audience="https://github.com/octo-org"))
        assert not admitted(account, role, token(subject, issuer="https://token.elsewhere.example"))


@pytest.mark.slow
def test_immutable_subjects_are_taken(account: Any) -> None:
    create(account, "github-with-ids", Prefix="ids", Repository="octo-org@1/octo-repo@2")
    subject = "repo:octo-org@1/octo-repo@2:environment:production"
    assert admitted(account, "github-ids-deploy", token(subject))
    assert not admitted(account, "github-ids-deploy", token(subject.replace("@2", "@3")))
    assert not admitted(account, "github-ids-deploy", token(DEPLOYS))


@pytest.mark.parametrize("key", ["aud", "sub"])
def test_every_condition_of_the_trust_is_needed(account: Any, key: str) -> None:
    strange = [*(token(one) for one in STRANGERS), *(token(one, "elsewhere") for one in (PLANS, DEPLOYS))]
    for role in WHOSE:
        whole = account("iam").get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        mutant = copy.deepcopy(whole)
        del mutant["Statement"][0]["Condition"]["StringEquals"][f"{GITHUB}:{key}"]
        account("iam").update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(mutant))
        accepted = any(admitted(account, role, one) for one in strange)
        account("iam").update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(whole))
        assert accepted, role


@pytest.mark.parametrize("repository", ["octo-org/*", "*", "octo-org/repo:ref", "octo-org", "a/b/c", "a/b?"])
def test_repository_is_one_repository(repository: str) -> None:
    assert not re.fullmatch(ROLES.parameters["Repository"]["AllowedPattern"], repository)


@pytest.mark.slow
def test_template_is_valid_in_three_regions() -> None:
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--regions", "us-east-1", "eu-central-1", "ap-south-1"]
    found = subprocess.run([*command, "--", str(FOLDER / "roles.yaml")], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, ""), found.stdout + found.stderr


def test_provider_is_made_once_and_kept() -> None:
    made = ROLES.resources(ROLES.names({**GIVEN, "ProviderArn": ""}))
    assert "Provider" in made
    assert made["Provider"]["DeletionPolicy"] == "Retain"
    assert "Provider" not in ROLES.resources(ROLES.names(GIVEN))


def test_workflow_asks_for_no_more_than_it_needs() -> None:
    assert WORKFLOW["permissions"] == {}
    assert {name: job["permissions"] for name, job in JOBS.items()} == {
        "plan": {"contents": "read", "id-token": "write"},
        "comment": {"pull-requests": "write"},
        "deploy": {"contents": "read", "id-token": "write"},
    }


def test_workflow_deploys_tags_alone() -> None:
    # YAML 1.1 takes `on` for true.
    assert WORKFLOW[True] == {"pull_request": None, "push": {"tags": ["v*"]}}
    assert JOBS["deploy"]["if"] == "github.event_name == 'push'"
    assert JOBS["deploy"]["environment"] == ROLES.parameters["Environment"]["Default"]
    assert "environment" not in JOBS["plan"]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in JOBS["plan"]["if"]


def steps() -> list[dict[str, Any]]:
    """Return the steps of all jobs."""
    return [step for job in JOBS.values() for step in job["steps"]]


def test_scripts_contain_no_expressions() -> None:
    """GitHub puts the value of an expression into the script, whoever wrote it; a variable stays a variable."""
    assert [step["run"] for step in steps() if "${{" in step.get("run", "")] == []


def test_actions_are_pinned_as_in_ci() -> None:
    ci = (Path(__file__).parents[2] / ".github" / "workflows" / "ci.yml").read_text()
    used = {step["uses"] for step in steps() if "uses" in step}
    assert used == set(re.findall(r"uses: (\S+@[0-9a-f]{40})", ci))
    assert all(step["with"]["persist-credentials"] is False for step in steps() if "checkout" in step.get("uses", ""))


def test_commands_of_the_workflow_exist() -> None:
    text = "\n".join(step.get("run", "") for step in steps())
    named = set(re.findall(r"manage\.py (\w+)", text))
    assert named == {"provision", "bake_ami"}
    assert set(re.findall(r"deploy/[\w./-]+", text)) == {"deploy/github/as-role.sh", "deploy/local/install.py"}


def test_comment_shows_the_plan_as_it_is(tmp_path: Path) -> None:
    """The two halves of the workflow's scripts: what one packs, the other unpacks, whatever is in it."""
    plan = "a `b` $(c) \n::set-output name=x::y\nä\n" + "row\n" * 20_000
    (tmp_path / "plan.txt").write_text(plan)
    pack = 'echo "plan=$(gzip --stdout plan.txt | base64 --wrap=0)"'
    assert pack in next(step for step in JOBS["plan"]["steps"] if step.get("id") == "plan")["run"]
    packed = subprocess.run(["bash", "-c", pack], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert packed.count("\n") == 1
    script = JOBS["comment"]["steps"][0]["run"].replace("gh pr comment", "true gh pr comment")
    env = {"PLAN": packed.partition("=")[2].strip(), "NUMBER": "1", "GITHUB_REPOSITORY": "a/b", "PATH": "/usr/bin:/bin"}
    subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=env, check=True)
    comment = (tmp_path / "comment.md").read_text()
    assert comment.startswith("`provision --plan` of this pull request:\n````text\na `b` $(c) \n::set-output")
    assert len(comment) < 65_536


class Tokens(BaseHTTPRequestHandler):
    """GitHub's service for the tokens of a job (docs.github.com, Using OpenID Connect with reusable workflows)."""

    def do_GET(self) -> None:
        """Give the token to who has the job's own."""
        right = self.headers["Authorization"] == "bearer job" and self.path == "/?v=2&audience=sts.amazonaws.com"
        body = json.dumps({"count": 1, "value": token(PLANS)} if right else {}).encode()
        self.send_response(200 if right else 401)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def job() -> Iterator[dict[str, str]]:
    """The environment of a job that may ask for a token."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Tokens) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"http://127.0.0.1:{server.server_port}/?v=2",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "job",
            "GITHUB_RUN_ID": "7",
        }
        server.shutdown()


def as_role(env: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as the workflow does."""
    whole = [str(FOLDER / "as-role.sh"), *command]
    return subprocess.run(whole, env=env, capture_output=True, text=True, check=False)


def test_command_gets_the_token_and_its_end_is_passed_on(job: dict[str, str]) -> None:
    done = as_role(job, "bash", "-c", 'cat "$AWS_WEB_IDENTITY_TOKEN_FILE"; env; exit 3')
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.startswith(token(PLANS))
    assert "ACTIONS_ID_TOKEN_REQUEST" not in done.stdout
    named = re.search(r"AWS_WEB_IDENTITY_TOKEN_FILE=(\S+)", done.stdout)
    assert named
    assert not Path(named[1]).exists()


def test_no_token_runs_nothing(job: dict[str, str]) -> None:
    done = as_role({**job, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "other"}, "echo", "ran")
    assert done.returncode != 0
    assert "ran" not in done.stdout


@pytest.fixture(scope="module")
def account() -> Iterator[Any]:
    """An AWS that checks permissions, with a service and the roles; clients that may do everything."""
    with ExitStack() as stack:
        url = stack.enter_context(emulators.judging())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("django.conf.settings.TELEGRAM_API_URL", stack.enter_context(emulators.telegram()))
        run_provision("objdet", "--self-signed", "--parameter", "AlarmEmail=ops@example.com", token=TOKEN)
        budget.create(MonthlyBudget(Service("objdet"), 10, tagged=False), "ops@example.com")
        root = clients_of(url, aws_access_key_id="test", aws_secret_access_key="test")
        create(root, "github")
        yield root
    forget_clients()


def create(account: Any, stack: str, **given: str) -> None:
    """Create a stack of the roles; the emulator has no providers, so one is said to be there."""
    cloudformation, values = account("cloudformation"), {**GIVEN, **given}
    parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]
    made = {"TemplateBody": ROLES.body, "Parameters": parameters, "Capabilities": ["CAPABILITY_NAMED_IAM"]}
    cloudformation.create_stack(StackName=stack, **made)
    assert cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"


def policy() -> dict[str, Any]:
    """Return the policy of the role that plans."""
    names = ROLES.names({**GIVEN, "AWS::Partition": "aws", "AWS::AccountId": "000000000000"})
    policies = ROLES.resolve(ROLES.all_resources["PlanRole"]["Properties"]["Policies"], names)
    found: dict[str, Any] = policies[0]["PolicyDocument"]
    return found


def plan(account: Any, document: dict[str, Any]) -> str:
    """Return what `provision --plan` says to somebody with this policy, or why it fails."""
    whole = {**document, "Statement": [judged.statement(one) for one in document["Statement"]]}
    role = "arn:aws:iam::000000000000:role/github-objdet-plan"
    account("iam").put_role_policy(
        RoleName="github-objdet-plan", PolicyName="plan", PolicyDocument=json.dumps(_widened(whole))
    )
    session = {"RoleArn": role, "RoleSessionName": "plan", "WebIdentityToken": token(PLANS)}
    given = account("sts").assume_role_with_web_identity(**session)["Credentials"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", given["AccessKeyId"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", given["SecretAccessKey"])
        patch.setenv("AWS_SESSION_TOKEN", given["SessionToken"])
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        forget_clients()
        try:
            return run("provision", "--prefix", "objdet", "--plan", "--monthly-budget", "20")
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller looks at it
            return f"failed: {error}"
        finally:
            forget_clients()


def _widened(document: dict[str, Any]) -> dict[str, Any]:
    """Return the policy with the resources that the emulator judges without their ARNs."""
    for one in document["Statement"]:
        if one["Sid"] in ("Budget", "Certificates"):
            one["Resource"] = "*"
    return document


def test_planning_role_can_plan(account: Any) -> None:
    said = plan(account, policy())
    assert "Nothing would change in the stacks of objdet." in said
    assert "The budget would change from US$ 10.00" in said
    assert "lack" not in said


@pytest.mark.slow
def test_planning_role_needs_all_it_has(account: Any) -> None:
    survivors = [
        name
        for name, mutant in mutants(policy())
        # The emulator has no cost allocation tags.
        if "ce:" not in name and not re.search("lack|failed", plan(account, mutant))
    ]
    assert survivors == []


def test_planning_role_reads_no_secrets_and_no_data() -> None:
    actions = {action for one in policy()["Statement"] for action in one["Action"]}
    assert {
        action for action in actions if re.search(r"^(secretsmanager|dynamodb|s3|sqs|logs|ssm|kms|iam):", action)
    } == set()


def test_sdk_exchanges_the_token_for_the_role(account: Any, job: dict[str, str]) -> None:
    role = "arn:aws:iam::000000000000:role/github-objdet-plan"
    endpoint = account("sts").meta.endpoint_url
    env = {**operating.environment(endpoint), **job, "AWS_ROLE_ARN": role}
    env = {name: value for name, value in env.items() if "KEY" not in name}
    said = "import boto3; print(boto3.client('sts', 'us-east-1').get_caller_identity()['Arn'])"
    done = as_role(env, sys.executable, "-c", said)
    assert done.stdout.strip().endswith(":assumed-role/github-objdet-plan/github-7"), done.stderr
