"""`audit` agrees with a running service that it keeps its promise."""

from deploy.local.stack import PREFIX, LocalStack
from deploy.local.telegram.client import TelegramUser
from detection.record import times
from tests.support.provisioning import run


def test_running_service_keeps_its_promise(stack: LocalStack, user: TelegramUser, photo: bytes) -> None:
    began = times.text(times.now())
    user.wait_for_reply(user.send_photo(photo))
    user.wait_for_reply(user.send_document(b"no picture", "a.jpg", "image/jpeg"))
    shown = run("audit", "--prefix", PREFIX, "--since", began, "--logs", str(stack.folder / "logs"))
    assert "1  answered" in shown
    assert "1  told why not" in shown
    assert "Each has one answer, or a reason" in shown
