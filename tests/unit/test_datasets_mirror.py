"""The mirror reader: manifests, revisions, verification, staging."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from a360.datasets.mirror import (
    MANIFEST_NAME,
    MirrorManifest,
    build_manifest,
    data_revision,
    manifest_hash,
    read_manifest,
    read_stored_manifest,
    select_files,
    write_manifest,
)
from a360.datasets.staging import offline_environment, stage_mirror, verify_files
from a360.errors import ConfigError, DataError, MissingError
from a360.storage import Entry, open_store

ARC_TEST = "allenai/ai2_arc/ARC-Challenge/test-00000-of-00001.parquet"
FILES = {
    "allenai/ai2_arc/README.md": "configs",
    ARC_TEST: "challenge",
    "allenai/ai2_arc/ARC-Easy/test-00000-of-00001.parquet": "easy",
    "cais/mmlu/README.md": "configs of mmlu",
    "cais/mmlu/anatomy/test-00000-of-00001.parquet": "anatomy",
}
REVISIONS = {"cais/mmlu": "m1", "allenai/ai2_arc": "a1"}
ARC = ["allenai/ai2_arc/ARC-Challenge"]


@pytest.fixture
def mirror_dir(tmp_path: Path) -> Path:
    root = tmp_path / "mirror"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def manifest(mirror_dir: Path) -> MirrorManifest:
    manifest = build_manifest(mirror_dir, stand_in=False, revisions=REVISIONS)
    write_manifest(mirror_dir, manifest)
    return manifest


def rebuilt(mirror_dir: Path, path: str, text: str) -> MirrorManifest:
    (mirror_dir / path).write_text(text)
    return build_manifest(mirror_dir, stand_in=False, revisions=REVISIONS)


def test_a_manifest_that_was_written_reads_back_equal(mirror_dir: Path, manifest: MirrorManifest) -> None:
    assert read_manifest(mirror_dir) == manifest
    assert read_stored_manifest(open_store(str(mirror_dir))) == manifest
    described = manifest.repositories["cais/mmlu"].files["anatomy/test-00000-of-00001.parquet"]
    assert described.bytes == 7
    assert described.sha256 == "dd54b40a55209f36b045f833d6f8e1390b60ff12a59b41ce23fec8bde75f91f5"


def test_a_manifest_is_not_counted_among_its_own_files(mirror_dir: Path, manifest: MirrorManifest) -> None:
    assert build_manifest(mirror_dir, stand_in=False, revisions=REVISIONS) == manifest


def test_a_directory_without_a_manifest_is_a_configuration_error(mirror_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is not a data mirror: it has no manifest\.json") as caught:
        read_manifest(mirror_dir)
    assert str(mirror_dir) in caught.value.message
    assert caught.value.hint
    with pytest.raises(ConfigError, match=r"is not a data mirror: it has no manifest\.json"):
        read_stored_manifest(open_store(str(mirror_dir)))
    with pytest.raises(ConfigError, match="is not a data mirror"):
        read_manifest(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("<html>", "document"),
        ('{"stand_in": true}', "repositories"),
        ('{"stand_in": true, "repositories": {}, "more": 1}', "more"),
        ('{"schema_name": "a360.mirror/2", "stand_in": true, "repositories": {}}', "schema_name"),
    ],
)
def test_a_malformed_manifest_names_the_file_and_the_place(mirror_dir: Path, text: str, place: str) -> None:
    (mirror_dir / MANIFEST_NAME).write_text(text)
    with pytest.raises(ConfigError, match=f"not a mirror manifest.*{place}") as caught:
        read_manifest(mirror_dir)
    assert str(mirror_dir / MANIFEST_NAME) in caught.value.message


def test_a_repository_without_files_and_a_file_without_repository_are_refused(mirror_dir: Path) -> None:
    with pytest.raises(MissingError, match="no files of the repository openai/gsm8k"):
        build_manifest(mirror_dir, stand_in=False, revisions={"openai/gsm8k": "g1"})
    with pytest.raises(DataError, match=r"cais/mmlu/README\.md belongs to none"):
        build_manifest(mirror_dir, stand_in=False, revisions={"allenai/ai2_arc": "a1"})


def test_a_folder_of_a_repository_brings_its_readme_and_nothing_else(manifest: MirrorManifest) -> None:
    assert list(select_files(manifest, ARC)) == [ARC_TEST, "allenai/ai2_arc/README.md"]
    assert list(select_files(manifest, ["cais/mmlu"])) == [
        "cais/mmlu/README.md",
        "cais/mmlu/anatomy/test-00000-of-00001.parquet",
    ]


def test_a_data_revision_follows_its_own_files_and_no_others(
    mirror_dir: Path, manifest: MirrorManifest
) -> None:
    before = data_revision(manifest, ARC)
    other = rebuilt(mirror_dir, "allenai/ai2_arc/ARC-Easy/test-00000-of-00001.parquet", "other")
    assert data_revision(other, ARC) == before
    assert manifest_hash(other) != manifest_hash(manifest)
    assert data_revision(rebuilt(mirror_dir, ARC_TEST, "changed"), ARC) != before
    readme = rebuilt(mirror_dir, ARC_TEST, "challenge"), rebuilt(mirror_dir, "allenai/ai2_arc/README.md", "x")
    assert [data_revision(each, ARC) == before for each in readme] == [True, False]


def test_a_data_revision_does_not_depend_on_the_order_of_the_ids(manifest: MirrorManifest) -> None:
    both = data_revision(manifest, ["cais/mmlu", *ARC])
    assert data_revision(manifest, [*ARC, "cais/mmlu"]) == both
    assert both != data_revision(manifest, ARC)


@pytest.mark.parametrize("data_id", ["openai/gsm8k", "allenai/ai2_arc/ARC", "cais/mml"])
def test_an_absent_data_id_is_named_and_a_shared_beginning_is_not_enough(
    manifest: MirrorManifest, data_id: str
) -> None:
    with pytest.raises(MissingError, match=f"no data {data_id}; it has allenai/ai2_arc, cais/mmlu"):
        data_revision(manifest, [*ARC, data_id])


def test_a_changed_file_of_the_data_is_reported_with_found_and_expected(
    mirror_dir: Path, manifest: MirrorManifest
) -> None:
    verify_files(mirror_dir, manifest, ARC)
    (mirror_dir / "cais/mmlu/README.md").write_text("not asked for")
    verify_files(mirror_dir, manifest, ARC)
    (mirror_dir / ARC_TEST).write_text("challengf")
    with pytest.raises(
        DataError, match=r"has 9 bytes with sha256 \w+, its manifest promises 9 bytes"
    ) as caught:
        verify_files(mirror_dir, manifest, ARC)
    assert ARC_TEST in caught.value.message
    (mirror_dir / ARC_TEST).unlink()
    with pytest.raises(DataError, match="is absent, its manifest promises 9 bytes"):
        verify_files(mirror_dir, manifest, ARC)


def test_staging_brings_only_the_data_asked_for_and_pulls_nothing_twice(
    mirror_dir: Path, manifest: MirrorManifest, tmp_path: Path
) -> None:
    store = CountingStore(mirror_dir)
    staged = stage_mirror(store, ARC, tmp_path / "node")
    assert staged == tmp_path / "node" / manifest_hash(manifest)
    present = {path.relative_to(staged).as_posix() for path in staged.rglob("*") if path.is_file()}
    assert present == {MANIFEST_NAME, ARC_TEST, "allenai/ai2_arc/README.md"}
    verify_files(staged, read_manifest(staged), ARC)
    assert stage_mirror(store, ARC, tmp_path / "node") == staged
    stage_mirror(store, ["cais/mmlu"], tmp_path / "node")
    assert [len(keys) for keys in store.pulls] == [2, 2]


def test_a_staged_file_that_was_damaged_is_pulled_again(
    mirror_dir: Path, manifest: MirrorManifest, tmp_path: Path
) -> None:
    store = CountingStore(mirror_dir)
    staged = stage_mirror(store, ARC, tmp_path)
    (staged / ARC_TEST).write_text("challengf")
    stage_mirror(store, ARC, tmp_path)
    assert (staged / ARC_TEST).read_text() == "challenge"
    assert store.pulls[-1] == [ARC_TEST]


def test_a_store_whose_bytes_are_wrong_twice_is_a_data_error_and_leaves_no_manifest(
    mirror_dir: Path, manifest: MirrorManifest, tmp_path: Path
) -> None:
    (mirror_dir / ARC_TEST).write_text("broken")
    store = CountingStore(mirror_dir)
    with pytest.raises(DataError, match="has 6 bytes with sha256"):
        stage_mirror(store, ARC, tmp_path / "node")
    assert store.pulls == [[ARC_TEST, "allenai/ai2_arc/README.md"], [ARC_TEST]]
    assert not (tmp_path / "node" / manifest_hash(manifest) / MANIFEST_NAME).exists()


def test_the_offline_environment_keys_the_cache_by_the_manifest(
    mirror_dir: Path, manifest: MirrorManifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    variables = offline_environment(mirror_dir, manifest, Path("cache"))
    assert variables["HF_DATASETS_CACHE"] == str(tmp_path / "cache" / manifest_hash(manifest))
    assert variables["HF_HUB_OFFLINE"] == variables["HF_DATASETS_OFFLINE"] == "1"
    changed = rebuilt(mirror_dir, ARC_TEST, "changed")
    assert offline_environment(mirror_dir, changed, Path("cache")) != variables
    assert "HF_ALLOW_CODE_EVAL" not in variables
    with pytest.raises(ConfigError, match="lies inside the mirror"):
        offline_environment(mirror_dir, manifest, mirror_dir / "cache")


class CountingStore:
    """A directory store that remembers what was pulled from it."""

    def __init__(self, root: Path) -> None:
        self._store = open_store(str(root))
        self.uri = self._store.uri
        self.pulls: list[list[str]] = []

    def pull_tree(self, keys: Sequence[str], target_dir: Path) -> int:
        self.pulls.append(list(keys))
        return self._store.pull_tree(keys, target_dir)

    def list(self, prefix: str = "") -> Iterator[Entry]:
        return self._store.list(prefix)

    def read(self, key: str, start: int | None = None, length: int | None = None) -> bytes:
        return self._store.read(key, start, length)

    def write(self, key: str, data: bytes) -> None:
        raise AssertionError("staging writes nothing to the store")

    def put_if_absent(self, key: str, data: bytes) -> bool:
        raise AssertionError("staging writes nothing to the store")

    def delete(self, key: str) -> None:
        raise AssertionError("staging deletes nothing from the store")
