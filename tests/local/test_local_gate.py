"""No web page in the operator's browser reads the local AWS or the fake Telegram."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from botsite import aws
from deploy.local.processes import listening
from tests.support import emulators
from tests.support.processes import free_port, start, wait_until

# What no page may find out.
SECRET = "not-for-web-pages"
BUCKET = "photos-of-people"
FOREIGN = "http://127.0.0.3"
_JSON = {"Content-Type": "application/x-amz-json-1.1"}
# What a page can do: ask, and say what it was told.
ASK = """async ([url, method, headers, body]) => {
  try { return await (await fetch(url, {method, headers, body})).text(); } catch (error) { return String(error); }
}"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A local AWS with a secret and somebody's photo, in the account of who has no keys: a page has none."""
    with emulators.ministack(emulators.NOBODYS) as url:
        aws.client("secretsmanager").create_secret(Name="token", SecretString=SECRET)
        s3 = aws.s3().meta.client
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="photo", Body=SECRET.encode())
        yield url


@pytest.fixture(scope="module")
def telegram() -> Iterator[str]:
    """A fake Telegram for this module."""
    with emulators.telegram() as url:
        yield url


def _calls(endpoint: str) -> list[tuple[str, str, dict[str, str], str | None]]:
    """Return what a page would ask: URL, method, headers, body."""
    named = json.dumps({"SecretId": "token"})
    return [
        (f"{endpoint}/", "POST", {**_JSON, "X-Amz-Target": "secretsmanager.ListSecrets"}, "{}"),
        (f"{endpoint}/", "POST", {**_JSON, "X-Amz-Target": "secretsmanager.GetSecretValue"}, named),
        (f"{endpoint}/{BUCKET}", "GET", {}, None),
        (f"{endpoint}/{BUCKET}/photo", "GET", {}, None),
    ]


def _answers(endpoint: str, **headers: str) -> list[httpx.Response]:
    return [
        httpx.request(method, url, headers={**given, **headers}, content=body)
        for url, method, given, body in _calls(endpoint)
    ]


def test_programs_read_what_is_theirs(endpoint: str) -> None:
    answers = _answers(endpoint)
    assert [answer.status_code for answer in answers] == [200] * 4
    assert [SECRET in answer.text for answer in answers] == [False, True, False, True]
    assert "token" in answers[0].text
    assert "photo" in answers[2].text


def test_page_of_another_origin_reads_nothing(browser: Browser, endpoint: str, telegram: str, tmp_path: Path) -> None:
    port = free_port("127.0.0.3")
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.3", "--directory", str(tmp_path), str(port)]
    calls = [*_calls(endpoint), (f"{telegram}/control/calls", "GET", {}, None)]
    with start(command), browser.new_page() as page:
        wait_until(lambda: listening("127.0.0.3", port))
        page.goto(f"{FOREIGN}:{port}/")
        told = [page.evaluate(ASK, list(call)) for call in calls]
    assert told == ["TypeError: Failed to fetch"] * len(calls)


@pytest.mark.parametrize("origin", [FOREIGN, "null", "https://rebound.example"])
def test_origin_is_refused(endpoint: str, origin: str) -> None:
    for answer in _answers(endpoint, Origin=origin):
        assert answer.status_code == 403
        assert "web page" in answer.text


@pytest.mark.parametrize("host", ["rebound.example", "rebound.example:80", "127.0.0.1.rebound.example", "[::1", ""])
def test_foreign_host_is_refused(endpoint: str, telegram: str, host: str) -> None:
    answers = [*_answers(endpoint, Host=host), httpx.get(f"{telegram}/control/calls", headers={"Host": host})]
    for answer in answers:
        assert answer.status_code == 403
        assert "web page" in answer.text


def test_localhost_is_no_foreign_host(endpoint: str, telegram: str) -> None:
    for url in (f"{endpoint}/{BUCKET}", f"{telegram}/control/calls"):
        assert httpx.get(url.replace("127.0.0.1", "localhost")).status_code == 200


@pytest.mark.parametrize("origin", ["", FOREIGN])
def test_no_answer_has_cors_headers(endpoint: str, origin: str) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-amz-target"}
    headers = {**asked, "Origin": origin} if origin else asked
    answers = [
        *_answers(endpoint, **headers),
        httpx.options(endpoint, headers=headers),
        httpx.options(f"{endpoint}/{BUCKET}", headers=headers),
        httpx.get(f"{endpoint}/no-such-bucket", headers=headers),
        httpx.get(f"{endpoint}/_ministack/health", headers=headers),
    ]
    assert [name for answer in answers for name in answer.headers if name.startswith("access-control")] == []


def test_chat_takes_its_own_pages_origin_alone(telegram: str) -> None:
    """Writing is refused, too: a page needs no answer to send photos or to break the bot with faults."""
    url = f"{telegram}/control/reset"
    assert httpx.post(url, headers={"Origin": telegram}).status_code == 200
    for origin in (FOREIGN, "null", "http://127.0.0.1:9"):
        assert httpx.post(url, headers={"Origin": origin}).status_code == 403
