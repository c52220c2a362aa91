"""What is packed for a builder, and what is not."""

import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from django.conf import settings

from deploy.cfn.cloudformation import StackError
from deploy.images import source
from deploy.local import everyday
from detection.model import openvino


def test_custom_weights_are_packed_without_owner(tmp_path: Path) -> None:
    weights = tmp_path / "mine.pt"
    weights.write_bytes(b"weights")
    with tarfile.open(fileobj=io.BytesIO(source.pack(weights))) as archive:
        member = archive.getmember("deploy/docker/weights/mine.pt")
        assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
    assert source.model(weights) == "mine"


def test_exported_folder_is_named_without_its_ending(tmp_path: Path) -> None:
    folder = tmp_path / "mine_openvino_model"
    folder.mkdir()
    with pytest.raises(StackError, match=r"neither a \.pt file nor a folder"):
        source.model(folder)
    (folder / "metadata.yaml").touch()
    assert source.model(folder) == "mine"


@pytest.mark.parametrize("given", ["yolox_nano", "yolox_nano.onnx"])
def test_yolox_is_converted_before_the_bake(
    given: str, yolox_nano: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "CACHE_DIR", tmp_path)
    (tmp_path / "weights").mkdir()
    shutil.copy(yolox_nano, everyday.network(tmp_path))
    weights = Path(given) if given == "yolox_nano" else everyday.network(tmp_path)
    folder = source.ready(weights)
    assert folder is not None
    assert openvino.runs(folder)
    assert source.model(folder) == f"yolox_nano-{everyday.SHA256[:12]}-fp16"
    assert source.ready(folder) == folder


def test_weights_that_no_builder_can_use_are_rejected(tmp_path: Path) -> None:
    (network := tmp_path / "other.onnx").write_bytes(b"no network")
    with pytest.raises(StackError, match="OpenVINO can't read"):
        source.ready(network)
    with pytest.raises(StackError, match="nor yolox_nano once `make demo` has fetched it"):
        source.ready(Path("yolox_huge"))


def test_untracked_files_are_not_packed() -> None:
    with tarfile.open(fileobj=io.BytesIO(source.pack())) as archive:
        names = archive.getnames()
    assert {"manage.py", ".dockerignore", "deploy/docker/bake.sh"} <= set(names)
    assert [name for name in names if name.startswith((".env", "tests/", "var/")) or name.endswith(".pyc")] == []


def test_packed_source_knows_its_commit() -> None:
    with tarfile.open(fileobj=io.BytesIO(source.pack())) as archive:
        file = archive.extractfile("botsite/COMMIT")
        assert file is not None
        assert file.read().decode() == source.commit()
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", source.commit())


def test_changed_files_are_told_in_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "BASE_DIR", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert source.commit() == "unknown"
    (tmp_path / "file").write_text("a")
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    for command in (("init", "-q"), ("add", "file"), (*who, "commit", "-qm", "a")):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    committed = source.commit()
    (tmp_path / "file").write_text("b")
    assert source.commit() == f"{committed}-dirty"


def test_bake_without_git_is_rejected_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "BASE_DIR", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(StackError, match=r"baked from a git checkout.*Clone the repository"):
        source.version()
