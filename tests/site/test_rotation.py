"""A secret is rotated while two sites and a worker run: every photo is answered exactly once."""

import io
import json
import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from botsite import aws, keys, secret_store
from botsite.bot.telegram import client
from deploy.local.processes import PATIENCE_SECONDS, Child, free_port, listening
from deploy.local.stack import PREFIX, LocalStack
from deploy.local.telegram.client import TelegramControl, TelegramUser
from detection.record import queries
from detection.work import callback
from tests.support import new_updates
from tests.support.emulators import forget_clients
from tests.support.processes import wait_until
from tests.support.provisioning import descriptor

pytestmark = pytest.mark.slow(quick="tests/site/test_keys.py")

ADOPTED = ("AWS_ENDPOINT_URL", "TELEGRAM_API_URL")
# What the processes read from Secrets Manager, as on AWS, instead of from their environment.
OWN = dict.fromkeys(("RESULTS_KEY", "TELEGRAM_WEBHOOK_SECRET", "DJANGO_SECRET_KEY", "TELEGRAM_TOKEN"), "")
chat_ids = count(7000)


class Service(LocalStack):
    """A service whose processes read their secrets from Secrets Manager."""

    def start_site(self, host: str, port: int, **env: str) -> Child:
        return super().start_site(host, port, **OWN, **env)

    def start_worker(self, **env: str) -> Child:
        return super().start_worker(**OWN, **env)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, weights: str) -> Iterator[Service]:
    """A running service for this module: the tests of other modules rely on their secrets."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ADOPTED:
            patch.setattr(settings, name, "")
        for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", *ADOPTED):
            patch.setenv(name, os.environ.get(name, ""))
        forget_clients()
        service = Service(tmp_path_factory.mktemp("rotation"), weights, time_scale=0.05)
        with service.running():
            yield service
    forget_clients()


@pytest.fixture
def user(service: Service) -> TelegramUser:
    """A user who is new to this bot."""
    return TelegramUser(service.telegram_url, next(chat_ids))


def held(name: str) -> dict[str, str]:
    """Return what a secret holds now."""
    return secret_store.read([f"{PREFIX}/{name}"], settings.AWS_REGION, settings.AWS_ENDPOINT_URL)


def test_second_rotation_within_the_hour_is_asked_about(service: Service) -> None:
    rotate("results-key")
    before = held("results-key")
    with pytest.raises(
        CommandError, match=r"Nothing was changed: there is no terminal .* Add --yes if a value has leaked"
    ):
        rotate("results-key", yes=False)
    assert held("results-key") == before
    rotate("results-key")
    assert held("results-key") != before


def rotate(name: str, **options: Any) -> str:
    """Run the command; return its output."""
    output = io.StringIO()
    call_command("rotate", name, stdout=output, stderr=output, **{"yes": True, **options})
    return output.getvalue()


def statuses(service: Service, ask: Callable[[str], httpx.Response]) -> set[int]:
    """Return the answers of both sites, asked often enough to reach all of their processes."""
    return {ask(site).status_code for site in service.sites.values() for _ in range(8)}


def called_with(key: str) -> Callable[[str], httpx.Response]:
    """Return a call of /results for an unknown prediction: 404 if the signature is right, else 403."""
    headers = {callback.SIGNATURE_HEADER: callback.sign("x", key)}
    return lambda site: httpx.get(f"{site}/results", params={"predictionId": "x"}, headers=headers)


def sites_know_the_newest(service: Service) -> None:
    """Call with the newest key until each process of each site has taken it up."""
    newest = called_with(held("results-key")["RESULTS_KEY"])
    wait_until(lambda: all(newest(site).status_code == 404 for site in service.sites.values() for _ in range(8)))


@pytest.mark.parametrize("name", ["results-key", "webhook-secret"])
def test_photos_during_rotation_are_answered_once(service: Service, photo: bytes, name: str) -> None:
    users = [TelegramUser(service.telegram_url, next(chat_ids)) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        sent = [[pool.submit(user.send_photo, photo) for user in users]]
        rotate(name)
        sent.append([pool.submit(user.send_photo, photo) for user in users])
        for user, messages in zip(users, zip(*sent, strict=True), strict=True):
            for message in messages:
                user.wait_for_reply(message.result())
    assert [len([one for one in user.messages() if one.from_bot]) for user in users] == [2] * 4


@pytest.fixture
def new_site(service: Service) -> Iterator[Callable[[], str]]:
    """Start a site that has only seen the newest key; return its address."""
    started: list[Child] = []

    def start() -> str:
        started.append(service.start_site("127.0.0.1", free_port()))
        address = service.sites.pop(started[-1])
        started[-1].wait_ready(lambda: listening("127.0.0.1", int(address.rpartition(":")[2])))
        return address

    yield start
    for site in started:
        site.terminate()
        site.wait()


def _accepted(url: str, **request: Any) -> bool:
    return httpx.post(url, timeout=PATIENCE_SECONDS, **request).is_success


def test_repeated_update_finds_its_prediction_after_rotation(
    service: Service, user: TelegramUser, photo: bytes, new_site: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "PREDICTIONS_TABLE", service.env["PREDICTIONS_TABLE"])
    user.wait_for_reply(user.send_photo(photo))
    file = next(message.photo for message in user.messages() if message.photo)
    update = new_updates.with_photo(user.chat_id, file)
    headers = {"X-Telegram-Bot-Api-Secret-Token": held("webhook-secret")["TELEGRAM_WEBHOOK_SECRET"]}
    addresses: tuple[Callable[[], str], ...] = (lambda: next(iter(service.sites.values())), new_site)
    for address in addresses:
        url = f"{address()}/telegram/webhook"
        # As Telegram does: a site that read the secret just before the rotation refuses it for some seconds.
        wait_until(partial(_accepted, url, json=update, headers=headers))
        rotate("results-key")
    assert len(queries.latest_of_chat(user.chat_id)) == 2


def test_ids_are_made_with_first_key(service: Service) -> None:
    rotate("results-key")
    first = held("results-key")["PREDICTION_ID_KEY"]
    rotate("results-key")
    assert held("results-key")["PREDICTION_ID_KEY"] == first == service.env["RESULTS_KEY"]


def test_worker_with_refused_key_takes_new_one(service: Service, user: TelegramUser, photo: bytes) -> None:
    rotate("results-key")
    rotate("results-key")
    sites_know_the_newest(service)
    assert user.wait_for_reply(user.send_photo(photo)).photo


def test_worker_calls_again_until_sites_know_its_key(service: Service, user: TelegramUser, photo: bytes) -> None:
    rotate("results-key")
    rotate("results-key")
    # They have just read the key, and don't read it again for some seconds, whatever strangers send.
    sites_know_the_newest(service)
    rotate("results-key")
    assert user.wait_for_reply(user.send_photo(photo)).photo


def test_sites_accept_only_new_and_previous_key(service: Service) -> None:
    before = held("results-key")["RESULTS_KEY"]
    rotate("results-key")
    # A site that has missed several keys learns of them by the first call that it refuses.
    wait_until(lambda: statuses(service, called_with(before)) == {404})
    assert statuses(service, called_with("a" * 48)) == {403}


def test_telegram_gets_new_webhook_secret(service: Service, user: TelegramUser, photo: bytes) -> None:
    address = TelegramControl(service.telegram_url).webhook()["url"]
    said = rotate("webhook-secret")
    assert f"Telegram sends it to {address} from now on." in said
    assert held("webhook-secret")["TELEGRAM_WEBHOOK_SECRET"] not in said
    assert user.wait_for_reply(user.send_photo(photo)).photo


def test_strangers_webhook_secret_is_refused(service: Service, user: TelegramUser) -> None:
    headers = {"X-Telegram-Bot-Api-Secret-Token": "b" * 48}
    body = new_updates.with_message(user.chat_id, text="/help")
    assert statuses(service, lambda site: httpx.post(f"{site}/telegram/webhook", json=body, headers=headers)) == {403}


def test_previous_value_expires(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    rotate("results-key")
    name = f"{PREFIX}/results-key"
    arguments = (name, settings.AWS_REGION, settings.AWS_ENDPOINT_URL)
    assert secret_store.versions(*arguments).previous != {}
    monkeypatch.setattr(secret_store, "PREVIOUS_GOOD", timedelta())
    assert secret_store.versions(*arguments).previous == {}


def test_sessions_survive_new_django_key(service: Service) -> None:
    before = held("django-key")["DJANGO_SECRET_KEY"]
    said = rotate("django-key")
    after = held("django-key")
    assert after["DJANGO_SECRET_KEY_FALLBACKS"] == before != after["DJANGO_SECRET_KEY"]
    assert "python manage.py restart polybot" in said


def test_admin_password_changes_and_is_not_printed(service: Service) -> None:
    before = held("admin-password")["ADMIN_PASSWORD"]
    said = rotate("admin-password")
    assert held("admin-password")["ADMIN_PASSWORD"] not in (before, "")
    assert held("admin-password")["ADMIN_PASSWORD"] not in said


def test_token_is_stored_once_telegram_accepts_it(service: Service) -> None:
    token = service.env["TELEGRAM_TOKEN"]
    said = rotate("telegram-token", token_fd=descriptor(f"{token}\n"))
    assert client.stored_token(f"{PREFIX}/telegram-token") == token
    assert "@object_detection_bot" in said
    assert token not in said


def test_photo_after_revoked_token_is_answered_with_new_one(service: Service, user: TelegramUser, photo: bytes) -> None:
    control, new = TelegramControl(service.telegram_url), revoked(service)
    message = user.send_photo(photo)
    wait_until(lambda: any(code >= 500 for one in control.updates(user.chat_id) for code in one.statuses))
    said = rotate("telegram-token", token_fd=descriptor(new))
    assert user.wait_for_reply(message).photo
    assert len([one for one in user.messages() if one.from_bot]) == 1
    assert ("from now on" in said, new in said) == (True, False)


def revoked(service: Service) -> str:
    """Revoke the bot's token; return the new one."""
    number = service.env["TELEGRAM_TOKEN"].partition(":")[0]
    service.env["TELEGRAM_TOKEN"] = f"{number}:{secrets.token_urlsafe(26)}"
    TelegramControl(service.telegram_url).revoke(service.env["TELEGRAM_TOKEN"])
    return service.env["TELEGRAM_TOKEN"]


def test_no_call_fails_once_new_token_is_stored(service: Service, user: TelegramUser, photo: bytes) -> None:
    control = TelegramControl(service.telegram_url)
    # Enough for each process of a site to use the old token. A chat takes a message a second.
    others = [TelegramUser(service.telegram_url, next(chat_ids)) for _ in range(8)]
    for other in others:
        other.wait_for_reply(other.send_text("/help"))
    rotate("telegram-token", token_fd=descriptor(revoked(service)))
    for other in others:
        other.wait_for_reply(other.send_text("/help"))
    assert user.wait_for_reply(user.send_photo(photo)).photo
    deliveries = [one for chat in (user, *others) for one in control.updates(chat.chat_id)]
    # A 403 is due to another test's rotation of the webhook secret; the update is sent again.
    assert [code for one in deliveries for code in one.statuses if code >= 500] == []


def test_missing_webhook_is_reported(service: Service) -> None:
    token = service.env["TELEGRAM_TOKEN"]
    httpx.post(f"{service.telegram_url}/bot{token}/deleteWebhook").raise_for_status()
    try:
        said = rotate("telegram-token", token_fd=descriptor(token))
    finally:
        # Another test may have rotated it.
        service.env |= held("webhook-secret")
        service.set_webhook()
    assert f"python manage.py set_webhook --prefix {PREFIX}" in said


@pytest.mark.parametrize(("text", "why"), [("1234567:AAAAAAAAAAAAAAAAAAAAAAAA", "doesn't know"), ("\n", "no token")])
def test_wrong_token_changes_nothing(service: Service, text: str, why: str) -> None:
    with pytest.raises(CommandError, match=why) as raised:
        rotate("telegram-token", token_fd=descriptor(text))
    assert "AAAA" not in str(raised.value)
    assert client.stored_token(f"{PREFIX}/telegram-token") == service.env["TELEGRAM_TOKEN"]


def test_closed_descriptor_is_reported(service: Service) -> None:
    with pytest.raises(CommandError, match="--token-fd 999: Bad file descriptor"):
        rotate("telegram-token", token_fd=999)


def test_unreadable_key_keeps_its_value(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SECRET_OF", {"RESULTS_KEY": "nobody/results-key"})
    monkeypatch.setattr(settings, "RESULTS_KEY", "k")
    key = keys.Key("RESULTS_KEY")
    assert not key.may_fit_later("k")
    assert (key.newest(), key.fits("x".__eq__)) == ("k", False)


def test_no_secret_is_logged(service: Service) -> None:
    rotate("results-key")
    pages = aws.client("secretsmanager").list_secrets()["SecretList"]
    values = [aws.client("secretsmanager").get_secret_value(SecretId=one["ARN"])["SecretString"] for one in pages]
    hidden = {text for value in values for text in (json.loads(value).values() if value[0] == "{" else [value])}
    logs = "".join(path.read_text(errors="replace") for path in (service.folder / "logs").glob("*.log"))
    assert [secret for secret in hidden if secret in logs] == []
