"""From the stand-in for the hub into a mirror: what is taken, what stays, what is refused."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from a360.benchmarks import Texts
from a360.datasets.configurations import write_readme
from a360.datasets.convert import add_texts
from a360.datasets.fill import STATE_NAME, Filled, fill_mirror
from a360.datasets.hub import Hub, Patience
from a360.datasets.mirror import INDEX_NAME, MANIFEST_NAME, data_revision, read_manifest
from a360.datasets.staging import offline_environment, stage_mirror, verify_files
from a360.datasets.target import STATE_DIR, FillProgress, MirrorTarget
from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from a360.errors import ConfigError, DataError, MissingError, TransientError
from a360.storage import open_store
from tests.hub import Asked, Interference, StandIn, sha256, stand_in_hub
from tests.servers import S3Server
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
GLUE = "aps/super_glue"
GSM = "openai/gsm8k"


def parquet(*texts: str) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([{"text": text} for text in texts]), buffer)
    return buffer.getvalue()


def glue(tag: str = "") -> dict[str, bytes]:
    """Three configurations; the README names first what the catalogue does not ask for."""
    names = ("axb", "boolq", "copa")
    files = {f"{name}/test-00000-of-00001.parquet": parquet(f"{name} row{tag}") for name in names}
    readme = write_readme({name: {"test": f"{name}/test-*"} for name in names}, "A card.\n")
    return {**files, "README.md": readme, ".gitattributes": b"* -text\n", "super_glue.py": b"import this\n"}


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StandIn]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no-token"))
    with stand_in_hub() as hub:
        hub.create(GLUE, glue())
        hub.create(GSM, {"README.md": b"A card.\n", "main/test.jsonl": b'{"text": "gsm"}\n' * 5000})
        yield hub


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "mirror"


def fill(stand_in: StandIn, target: Path | str, *data: str, attempts: int = 1, **revisions: str) -> Filled:
    hub = Hub(Patience(attempts=attempts, sleep=lambda seconds: None), stand_in.url)
    pinned = {name.replace("__", "/"): revision for name, revision in revisions.items()}
    return fill_mirror(MirrorTarget(str(target)), data, hub, revisions=pinned)


def tree(target: Path) -> dict[str, bytes]:
    paths = [path for path in target.rglob("*") if path.is_file()]
    return {path.relative_to(target).as_posix(): path.read_bytes() for path in paths}


def a360(stand_in: StandIn, *words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "a360", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_ENDPOINT": stand_in.url, "HF_HOME": str(cwd)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


# --- what is taken -----------------------------------------------------------------------------------


def test_a_repository_is_its_card_and_its_data_files_and_nothing_else(
    stand_in: StandIn, target: Path
) -> None:
    filled = fill(stand_in, target, GLUE)
    expected = {path: content for path, content in glue().items() if path.endswith((".parquet", ".md"))}
    found = tree(target)
    manifest = read_manifest(target)
    assert found.pop(MANIFEST_NAME)
    assert found == {f"{GLUE}/{path}": content for path, content in expected.items()}
    assert manifest.stand_in is False
    assert manifest.repositories[GLUE].revision == stand_in.repositories[GLUE].branches["main"]
    assert {p: f.sha256 for p, f in manifest.repositories[GLUE].files.items()} == {
        path: sha256(content) for path, content in expected.items()
    }
    assert filled.pulled_files == 4
    assert filled.pulled_bytes == sum(map(len, expected.values())) == stand_in.sent_bytes


def test_a_folder_brings_its_files_and_the_card(stand_in: StandIn, target: Path) -> None:
    fill(stand_in, target, f"{GLUE}/boolq")
    assert sorted(read_manifest(target).repositories[GLUE].files) == [
        INDEX_NAME,
        "README.md",
        "boolq/test-00000-of-00001.parquet",
    ]


def load(target: Path, name: str, configuration: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """What unmodified ``datasets`` does with a mirror as working directory and no network."""
    code = f"import datasets; print(datasets.load_dataset({name!r}, {configuration!r})['test'][0]['text'])"
    offline = offline_environment(target, read_manifest(target), cache)
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=target,
        env={**os.environ, **offline},
        capture_output=True,
        text=True,
    )


def test_unmodified_datasets_loads_a_folder_whose_card_names_another_configuration_first(
    stand_in: StandIn, target: Path, tmp_path: Path
) -> None:
    """Without the index it fails: the first configuration's files are looked for, whichever is asked for."""
    fill(stand_in, target, f"{GLUE}/boolq")
    done = load(target, GLUE, "boolq", tmp_path / "cache")
    assert done.stdout == "boolq row\n", done.stderr
    (target / GLUE / INDEX_NAME).unlink()
    assert "No (supported) data files found" in load(target, GLUE, "boolq", tmp_path / "other").stderr


def test_unmodified_datasets_loads_every_configuration_of_a_whole_repository(
    stand_in: StandIn, target: Path, tmp_path: Path
) -> None:
    fill(stand_in, target, GLUE)
    found = [load(target, GLUE, name, tmp_path / "cache").stdout for name in ("axb", "copa")]
    assert found == ["axb row\n", "copa row\n"]


def test_a_staged_folder_is_loaded_too(stand_in: StandIn, target: Path, tmp_path: Path) -> None:
    fill(stand_in, target, f"{GLUE}/copa", f"{GLUE}/boolq")
    staged = stage_mirror(open_store(str(target)), [f"{GLUE}/boolq"], tmp_path / "node")
    assert not (staged / GLUE / "copa").exists()
    done = load(staged, GLUE, "boolq", tmp_path / "cache")
    assert done.stdout == "boolq row\n", done.stderr


def test_a_folders_data_revision_does_not_depend_on_the_other_folders(
    stand_in: StandIn, target: Path
) -> None:
    fill(stand_in, target, f"{GLUE}/boolq")
    before = data_revision(read_manifest(target), [f"{GLUE}/boolq"])
    fill(stand_in, target, f"{GLUE}/copa")
    assert data_revision(read_manifest(target), [f"{GLUE}/boolq"]) == before
    assert len(read_manifest(target).repositories[GLUE].files) == 4


# --- again -------------------------------------------------------------------------------------------


def test_a_second_run_brings_nothing_and_changes_nothing(stand_in: StandIn, target: Path) -> None:
    fill(stand_in, target, GLUE, GSM)
    before, stand_in.sent_bytes = tree(target), 0
    filled = fill(stand_in, target, GLUE, GSM)
    assert (filled.pulled_files, filled.kept_files, stand_in.sent_bytes) == (0, 6, 0)
    assert tree(target) == before


def test_a_new_commit_on_the_hub_does_not_move_a_mirror(stand_in: StandIn, target: Path) -> None:
    first = stand_in.repositories[GLUE].branches["main"]
    fill(stand_in, target, f"{GLUE}/boolq")
    stand_in.repositories[GLUE].commit(glue(" of a later commit"))
    fill(stand_in, target, f"{GLUE}/copa", f"{GLUE}/boolq")
    repository = read_manifest(target).repositories[GLUE]
    assert repository.revision == first
    assert repository.files["copa/test-00000-of-00001.parquet"].sha256 == sha256(parquet("copa row"))


def test_an_interrupted_run_goes_on_with_the_commit_that_it_began_with(
    stand_in: StandIn, target: Path
) -> None:
    stand_in.cut_after = 30_000
    with pytest.raises(TransientError):
        fill(stand_in, target, GSM, GLUE)
    assert not (target / MANIFEST_NAME).exists()
    first = stand_in.repositories[GLUE].branches["main"]
    assert json.loads((target / STATE_NAME).read_text())["revisions"][GLUE] == first
    stand_in.repositories[GLUE].commit(glue(" of a later commit"))
    stand_in.repositories[GSM].commit({"README.md": b"", "main/test.jsonl": b"{}\n"})
    stand_in.cut_after = None
    fill(stand_in, target, GSM, GLUE)
    assert (target / GLUE / "boolq/test-00000-of-00001.parquet").read_bytes() == parquet("boolq row")
    assert (target / GSM / "main/test.jsonl").stat().st_size == 80_000
    assert not (target / STATE_DIR).exists()
    assert stand_in.sent_bytes < 80_000 + 20_000


def test_own_texts_that_are_added_meanwhile_do_not_disturb_an_interrupted_run(
    stand_in: StandIn, target: Path, tmp_path: Path
) -> None:
    stand_in.cut_after = 30_000
    with pytest.raises(TransientError):
        fill(stand_in, target, GSM)
    (tmp_path / "own.jsonl").write_text('{"text": "x"}\n')
    add_texts(MirrorTarget(str(target)), "ours", [tmp_path / "own.jsonl"], Texts())
    stand_in.repositories[GSM].commit({"README.md": b"", "main/test.jsonl": b"{}\n"})
    stand_in.cut_after = None
    (target / STATE_DIR / "rows").mkdir()  # of a converter that was killed
    fill(stand_in, target, GSM)
    assert (target / GSM / "main/test.jsonl").stat().st_size == 80_000
    assert stand_in.sent_bytes < 80_000 + 20_000
    assert list(read_manifest(target).repositories) == [GSM, "ours"]
    assert not (target / STATE_DIR).exists()


def test_the_commit_is_written_down_before_the_first_byte(stand_in: StandIn, target: Path) -> None:
    seen: list[bool] = []

    def look(asked: Asked) -> Interference | None:
        if "/resolve/" in asked.path:
            seen.append((target / STATE_NAME).exists())
        return None

    stand_in.interfere = look
    fill(stand_in, target, GLUE)
    assert seen == [True] * 4


def test_a_revision_that_is_asked_for_is_taken_and_another_one_later_is_refused(
    stand_in: StandIn, target: Path
) -> None:
    first = stand_in.repositories[GLUE].branches["main"]
    second = stand_in.repositories[GLUE].commit(glue(" of a later commit"))
    filled = fill(stand_in, target, f"{GLUE}/boolq", aps__super_glue=first)
    assert filled.revisions == {GLUE: first}
    assert (target / GLUE / "boolq/test-00000-of-00001.parquet").read_bytes() == parquet("boolq row")
    with pytest.raises(ConfigError, match=f"has {GLUE} at {first}, asked for {second}"):
        fill(stand_in, target, GLUE, aps__super_glue=second)
    fill(stand_in, target, GLUE, aps__super_glue="main")
    assert read_manifest(target).repositories[GLUE].revision == first


def test_adding_to_a_mirror_keeps_what_is_there(stand_in: StandIn, target: Path) -> None:
    fill(stand_in, target, GLUE)
    before = tree(target)
    before.pop(MANIFEST_NAME)
    del stand_in.repositories[GLUE]
    fill(stand_in, target, GSM)
    assert before.items() <= tree(target).items()
    assert list(read_manifest(target).repositories) == [GLUE, GSM]
    verify_files(target, read_manifest(target), [GLUE, GSM])


def test_a_file_that_was_damaged_or_lost_comes_again_and_no_other(stand_in: StandIn, target: Path) -> None:
    fill(stand_in, target, GLUE, GSM)
    before, stand_in.sent_bytes = tree(target), 0
    (target / GLUE / "README.md").unlink()
    damaged = target / GLUE / "copa/test-00000-of-00001.parquet"
    damaged.write_bytes(damaged.read_bytes()[::-1])
    filled = fill(stand_in, target, GLUE, GSM)
    assert tree(target) == before
    assert (filled.pulled_files, filled.kept_files) == (2, 4)
    assert stand_in.sent_bytes == len(glue()["README.md"]) + damaged.stat().st_size


@pytest.mark.parametrize("path", ["main/test.jsonl", "README.md"])
def test_changed_data_under_the_same_commit_is_a_data_error(
    stand_in: StandIn, target: Path, path: str
) -> None:
    """Listing and bytes changed together, so only the mirror's manifest knows better."""
    fill(stand_in, target, GSM)
    before = tree(target)
    files = next(iter(stand_in.repositories[GSM].commits.values()))
    files[path] = files[path].replace(b"r", b"R").replace(b"s", b"S")
    with pytest.raises(DataError, match=rf"{GSM}/{path} at \w+ is in the mirror with [\d,]+ bytes, sha256"):
        fill(stand_in, target, GSM)
    assert tree(target).items() >= before.items()


# --- what is refused ---------------------------------------------------------------------------------


def test_gated_and_absent_data_is_named_and_the_rest_is_mirrored(stand_in: StandIn, target: Path) -> None:
    stand_in.create("skg/toxigen-data", {"README.md": b"", "annotated/test.jsonl": b"{}\n"}, gated=True)
    filled = fill(stand_in, target, "skg/toxigen-data/annotated", GSM, "nobody/nothing", f"{GSM}/socratic")
    assert list(read_manifest(target).repositories) == [GSM]
    assert sorted(filled.refused) == ["nobody/nothing", "skg/toxigen-data"]
    with pytest.raises(ConfigError) as caught:
        filled.raise_refused()
    assert "skg/toxigen-data" in caught.value.message
    assert "nobody/nothing" in caught.value.message
    assert "HF_TOKEN" in str(caught.value)


def test_a_gated_repository_is_mirrored_with_a_token(
    stand_in: StandIn, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in.create("skg/toxigen-data", {"README.md": b"", "annotated/test.jsonl": b"{}\n"}, gated=True)
    monkeypatch.setenv("HF_TOKEN", stand_in.token)
    filled = fill(stand_in, target, "skg/toxigen-data/annotated")
    assert filled.refused == {}
    assert (target / "skg/toxigen-data/annotated/test.jsonl").read_bytes() == b"{}\n"


BERT = {"config.json": b"{}", "vocab.txt": b"a\n", "tokenizer_config.json": b"{}", "README.md": b"A card.\n"}
WEIGHTS = {"model.safetensors": b"s" * 5000, "pytorch_model.bin": b"p" * 5000, "tf_model.h5": b"t" * 5000}


@pytest.mark.parametrize("kept", ["model.safetensors", "pytorch_model.bin"])
def test_a_model_is_mirrored_with_one_kind_of_weights_and_its_tokenizer(
    stand_in: StandIn, target: Path, kept: str
) -> None:
    """Another format only where there are no safetensors; nothing below a folder, nothing for others."""
    weights = {name: data for name, data in WEIGHTS.items() if kept == "model.safetensors" or name[0] != "m"}
    commit = stand_in.create("models/tomh/judge", {**BERT, **weights, "onnx/model.safetensors": b"o"})
    filled = fill(stand_in, target, "models/tomh/judge")
    assert (filled.refused, filled.revisions) == ({}, {"models/tomh/judge": commit})
    found = {path.name: path.read_bytes() for path in (target / "models/tomh/judge").rglob("*")}
    assert found == {**BERT, kept: WEIGHTS[kept]}
    assert sorted(read_manifest(target).repositories["models/tomh/judge"].files) == sorted(found)
    assert not any("/datasets/" in asked.path for asked in stand_in.asked)


def test_a_model_that_is_gated_or_absent_is_named_with_its_own_page(
    stand_in: StandIn, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in.create("models/tomh/closed", BERT, gated=True)
    closed = fill(stand_in, target, "models/tomh/closed").refused["models/tomh/closed"]
    assert f"accept its conditions at {stand_in.url}/tomh/closed and" in str(closed.hint)
    monkeypatch.setenv("HF_TOKEN", stand_in.token)
    absent = fill(stand_in, target, "models/tomh/nothing").refused["models/tomh/nothing"]
    assert f"{stand_in.url}/tomh/nothing shows what there is" in str(absent.hint)
    assert fill(stand_in, target, "models/tomh/closed").refused == {}


def test_a_folder_that_is_not_there_and_a_script_are_named(stand_in: StandIn, target: Path) -> None:
    stand_in.create("old/script", {"README.md": b"", "script.py": b"import this\n"})
    filled = fill(stand_in, target, f"{GSM}/socratic", "old/script")
    assert f"no data files of {GSM}/socratic at" in str(filled.refused[GSM])
    assert "no data files of old/script at" in str(filled.refused["old/script"])
    assert "only the script script.py" in str(filled.refused["old/script"])
    with pytest.raises(MissingError, match=f"old/script at .*\n.*{GSM}/socratic at"):
        filled.raise_refused()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../../../evil.jsonl", "has no data files"),  # hidden, as everything that begins with a dot
        ("/evil.jsonl", "is not a relative path of plain names"),
        ("a//b.jsonl", "is not a relative path of plain names"),
    ],
)
def test_a_listing_with_a_name_that_leaves_the_mirror_is_refused(
    stand_in: StandIn, target: Path, path: str, words: str
) -> None:
    stand_in.create("evil/data", {"README.md": b"", path: b"{}\n"})
    filled = fill(stand_in, target, "evil/data", GSM)
    with pytest.raises((ConfigError, MissingError), match=words):
        filled.raise_refused()
    assert not (target.parent / "evil.jsonl").exists()
    assert list(read_manifest(target).repositories) == [GSM]


def test_a_revision_of_data_that_was_not_asked_for_is_refused(stand_in: StandIn, target: Path) -> None:
    with pytest.raises(ConfigError, match=f"a revision of cais/mmlu, which is not among the data: {GSM}"):
        fill(stand_in, target, GSM, cais__mmlu="main")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ("pile/test", "pile"),
        ("aps/dynahate", "dynahate"),
        ("allenai/social_bias_frames", "sbf"),
        ("AlexaAI/bold", "bold"),
        ("a360/mt-bench", "mt-bench"),
    ],
)
def test_script_data_sets_of_the_hub_point_to_their_converter(
    stand_in: StandIn, target: Path, data: str, kind: str
) -> None:
    filled = fill(stand_in, target, data)
    with pytest.raises(
        ConfigError, match=f"does not serve the rows of {data.removesuffix('/test')}"
    ) as caught:
        filled.raise_refused()
    assert f"a360 data convert {kind} " in str(caught.value)
    assert stand_in.asked == []


@pytest.mark.parametrize("kind", ["lines", "topics"])
def test_cases_that_are_made_and_not_mirrored_point_to_their_command(
    stand_in: StandIn, target: Path, kind: str
) -> None:
    with pytest.raises(ConfigError, match=f"the rows of a360/long-eval-{kind}") as caught:
        fill(stand_in, target, f"a360/long-eval-{kind}").raise_refused()
    assert "a360 data long-eval TARGET" in str(caught.value)
    assert stand_in.asked == []


def test_a_target_that_is_something_else_is_left_alone(stand_in: StandIn, target: Path) -> None:
    target.mkdir()
    (target / "thesis.tex").write_text("mine")
    with pytest.raises(ConfigError, match=r"is not empty and no mirror: it has thesis\.tex"):
        fill(stand_in, target, GLUE)
    (target / "thesis.tex").unlink()
    (target / MANIFEST_NAME).write_text('{"stand_in": true, "repositories": {}}')
    with pytest.raises(ConfigError, match="mirror of stand-in rows"):
        fill(stand_in, target, GLUE)


def test_two_processes_do_not_fill_one_target(stand_in: StandIn, target: Path) -> None:
    with MirrorTarget(str(target)).locked(), pytest.raises(ConfigError, match="another process is filling"):
        fill(stand_in, target, GLUE)
    assert fill(stand_in, target, GLUE).pulled_files == 4


def test_progress_counts_to_the_bytes_of_all_files(stand_in: StandIn, target: Path) -> None:
    shown: list[FillProgress] = []
    hub = Hub(Patience(attempts=9, sleep=lambda seconds: None), stand_in.url)
    stand_in.cut_after = 30_000
    fill_mirror(MirrorTarget(str(target)), [GSM], hub, on_progress=shown.append)
    assert {progress.total_bytes for progress in shown} == {80_008}
    assert shown[-1].done_bytes == 80_008
    assert all(progress.done_bytes <= 80_008 for progress in shown)


# --- a bucket ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["moto", "versitygw"])
def test_a_bucket_is_filled_resumed_and_added_to_like_a_directory(
    stand_in: StandIn,
    target: Path,
    server: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s3: S3Server = request.getfixturevalue(server)
    settings: Mapping[str, str] = s3.environment
    for name, value in {**settings, "A360_CACHE": str(target.parent / "cache")}.items():
        monkeypatch.setenv(name, value)
    uri = f"s3://{s3.create_bucket()}/data/mirror"
    stand_in.cut_after = 30_000
    with pytest.raises(TransientError):
        fill(stand_in, uri, GSM, f"{GLUE}/boolq")
    stand_in.cut_after = None
    fill(stand_in, uri, GSM, f"{GLUE}/boolq")
    fill(stand_in, target, GSM, f"{GLUE}/boolq")
    filled = fill(stand_in, uri, GSM)
    store = MirrorTarget(uri).store
    assert {entry.key: store.read(entry.key) for entry in store.list("")} == tree(target)
    assert (filled.pulled_files, filled.kept_files) == (0, 2)
    assert list((target.parent / "cache" / "mirrors").iterdir()) == []


# --- the command -------------------------------------------------------------------------------------


def test_the_command_mirrors_the_data_of_a_benchmark_and_says_what_it_did(
    stand_in: StandIn, target: Path, tmp_path: Path
) -> None:
    done = a360(stand_in, "data", "mirror", target, "--benchmark", "boolq", "--workers", 2, cwd=tmp_path)
    commit = stand_in.repositories[GLUE].branches["main"]
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"{GLUE} at {commit}"
    assert done.stdout.splitlines()[1].startswith(f"file://{target}: 2 files new (")
    assert f"mirrored {GLUE}/boolq/test-00000-of-00001.parquet (" in done.stderr
    again = a360(stand_in, "data", "mirror", target, "--benchmark", "boolq", cwd=tmp_path)
    assert "0 files new (0 bytes), 2 were there" in again.stdout


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], 2, "none or several of --suite, --benchmark and --repository"),
        (["--benchmark", "boolqq"], 2, "did you mean"),
        (["--benchmark", "demo-boolq"], 2, "the rows of demo-boolq are a360's own"),
        (["--repository", GSM, "--revision", "nonsense"], 2, "'nonsense' is no revision"),
        (["--repository", "../x"], 2, "not a relative path of plain names"),
        (["--repository", f"{GSM}/socratic"], 3, "no data files of"),
        (["--repository", "closed/data"], 2, "HF_TOKEN"),
    ],
)
def test_the_command_ends_with_the_code_of_what_is_wrong(
    stand_in: StandIn, target: Path, tmp_path: Path, words: list[str], code: int, text: str
) -> None:
    stand_in.create("closed/data", {"test.jsonl": b"{}\n"}, gated=True)
    done = a360(stand_in, "data", "mirror", target, *words, cwd=tmp_path)
    assert (done.returncode, text in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_the_mirror_job_fills_the_suites_mirror(stand_in: StandIn, tmp_path: Path) -> None:
    naming = {"pattern": r"step_(?P<step>\d+)"}
    suite = {
        "name": "small",
        "model": {"name": "m", "root": "checkpoints", "naming": naming},
        "store": {"uri": "store"},
        "data": {"mirror": "data/mirror"},
        "benchmarks": ["boolq", "gsm8k-5shot"],
        "texts": [{"id": "own", "data": "mine/texts"}],
    }
    (tmp_path / "suite.yaml").write_text(json.dumps(suite))
    command = [sys.executable, "-P", "-m", "jobs.mirror", "--suite", str(tmp_path / "suite.yaml")]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HF_ENDPOINT": stand_in.url,
        "HF_HOME": str(tmp_path),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "4 files new" in done.stdout
    assert "for mine/texts" in done.stderr
    manifest = read_manifest(tmp_path / "data" / "mirror")
    assert list(manifest.repositories) == [GLUE, GSM]


def test_a_benchmark_runs_on_what_was_mirrored(stand_in: StandIn, tmp_path: Path) -> None:
    """The rows are the demo's, served by the stand-in under a card that names another configuration first."""
    write_mirror(tmp_path / "rows", split_documents(read_documents())[1])
    rows = tmp_path / "rows" / GLUE
    files = {path.relative_to(rows).as_posix(): path.read_bytes() for path in rows.rglob("*.parquet")}
    readme = write_readme(
        {n: {s: f"{n}/{s}-*" for s in ("train", "validation")} for n in ("axb", "boolq")}, ""
    )
    stand_in.create(GLUE, {**files, "README.md": readme, "axb/validation-0.parquet": parquet("axb")})
    write_checkpoint(tmp_path / "checkpoints" / "step_1", seed=1)
    naming = {"pattern": r"step_(?P<step>\d+)", "settle_seconds": 0}
    suite = {
        "name": "small",
        "model": {"name": "tiny", "root": "checkpoints", "naming": naming, "dtype": "float32"},
        "store": {"uri": "store"},
        "data": {"mirror": "mirror"},
        "benchmarks": [{"id": "boolq", "limit": 4}],
        "run": {"device": "cpu", "threads": 1},
    }
    (tmp_path / "suite.yaml").write_text(json.dumps(suite))
    for words in (["data", "mirror", "mirror", "--suite", "suite.yaml"], ["run", "suite.yaml"]):
        done = a360(stand_in, *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
    [commit] = (tmp_path / "store" / "v1" / "commits").rglob("boolq/*.json")
    protocol = json.loads(commit.read_text())["protocol"]
    manifest = read_manifest(tmp_path / "mirror")
    assert protocol["data_revision"] == data_revision(manifest, [f"{GLUE}/boolq"])
    assert not (tmp_path / "mirror" / GLUE / "axb").exists()
