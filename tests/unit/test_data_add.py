"""Texts of somebody's own into a mirror: as they are, or refused before an evaluation meets them."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from a360.benchmarks import Texts
from a360.datasets.bundle import write_bundle
from a360.datasets.convert import OwnData, add_texts
from a360.datasets.mirror import MANIFEST_NAME, read_manifest, select_files
from a360.datasets.target import STATE_DIR, MirrorTarget
from a360.datasets.texts import read_texts
from a360.errors import A360Error, ConfigError, DataError, MissingError
from a360.storage import open_store


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "mirror"


def add(target: Path, name: str, sources: Sequence[Path], texts: Texts | None = None) -> OwnData:
    return add_texts(MirrorTarget(str(target)), name, sources, texts or Texts())


def write(path: Path, content: bytes = b'{"text": "x"}\n') -> Path:
    path.write_bytes(content)
    return path


def test_own_texts_are_added_as_they_are(target: Path, tmp_path: Path) -> None:
    lines = write(tmp_path / "a.jsonl", b'{"text": "one"}\n')
    packed = write(
        tmp_path / "b.jsonl.zst",
        pa.compress(b'{"text": "two"}\n{"text": "three"}\n', codec="zstd", asbytes=True),
    )
    table = tmp_path / "c.parquet"
    pq.write_table(pa.table({"text": ["four"]}), table)
    sources = [lines, packed, table]
    added = add(target, "ours/manuals", sources)
    assert {name: counts.rows for name, counts in added.counts.items()} == {
        "a.jsonl": 1,
        "b.jsonl.zst": 2,
        "c.parquet": 1,
    }
    assert all((target / "ours/manuals" / s.name).read_bytes() == s.read_bytes() for s in sources)
    found = read_texts(target, select_files(read_manifest(target), ["ours/manuals"]), Texts())
    assert [text.text for text in found] == ["one", "two", "three", "four"]
    assert lines.exists()


@pytest.mark.parametrize(
    ("name", "content", "kind", "words"),
    [
        ("a.csv", b"text\nx\n", ConfigError, "cannot be added, expected one .jsonl or"),
        ("a.jsonl", b"", DataError, "a.jsonl: found no rows"),
        ("a.jsonl", b'{"text": "x"}\nnonsense\n', DataError, "a.jsonl:2: the line is broken"),
        ("a.jsonl", b'{"text": "x"}\n{"body": "y"}\n', DataError, "a.jsonl:2: the field text is missing"),
        ("a.jsonl", b'{"text": "x"}\n{"text": ""}\n', DataError, "a.jsonl:2: text is empty"),
        ("a.jsonl", b'{"text": "x", "text": "y"}\n', DataError, "a.jsonl:1: .* 'text' is named twice"),
        ("a.jsonl", b'{"text": "x", "n": NaN}\n', DataError, "a.jsonl:1: .* NaN is no number of JSON"),
        ("a.parquet", b"PAR1 nonsense PAR1", DataError, "a.parquet is damaged"),
        ("a.jsonl.zst", b"nonsense", DataError, "a.jsonl.zst is damaged"),
    ],
)
def test_own_texts_that_no_evaluation_could_read_are_refused(
    target: Path, tmp_path: Path, name: str, content: bytes, kind: type[A360Error], words: str
) -> None:
    with pytest.raises(kind, match=words):
        add(target, "ours", [write(tmp_path / name, content)])
    assert not (target / MANIFEST_NAME).exists()


def test_parquet_without_a_text_column_is_refused_and_the_hint_says_how_to_name_it(
    target: Path, tmp_path: Path
) -> None:
    table = tmp_path / "c.parquet"
    pq.write_table(pa.table({"body": ["x"], "court": ["high"]}), table)
    with pytest.raises(DataError, match="has columns body, court, expected text") as raised:
        add(target, "ours", [table])
    assert "--text" in str(raised.value.hint)
    assert add(target, "ours", [table], Texts(text="body", group="court")).counts["c.parquet"].rows == 1
    with pytest.raises(DataError, match="has columns body, court, expected year"):
        add(target, "ours", [table], Texts(text="body", group="year"))


@pytest.mark.parametrize(
    "name", [STATE_DIR, ".hidden", "ours/.hidden/x", MANIFEST_NAME, f"{MANIFEST_NAME}/x"]
)
def test_a_name_that_the_mirror_keeps_for_itself_is_refused(target: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="is kept for the mirror itself"):
        add(target, name, [write(tmp_path / "one.jsonl")])
    assert not target.exists()


def test_a_file_that_is_not_there_and_one_that_comes_twice_are_named(target: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"nothing\.jsonl"):
        add(target, "ours", [tmp_path / "nothing.jsonl"])
    (tmp_path / "sub").mkdir()
    same = [write(tmp_path / folder / "a.jsonl") for folder in (".", "sub")]
    with pytest.raises(ConfigError, match=r"expected one .* of its name"):
        add(target, "ours", same)
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "a.jsonl")
    with pytest.raises(ConfigError, match=r"b\.jsonl is the same file as .*a\.jsonl"):
        add(target, "ours", [tmp_path / "a.jsonl", tmp_path / "b.jsonl"])


@pytest.mark.parametrize("place", ["in.tar", "ours/in.tar.zst", "ours/../in.tar"])
def test_a_bundle_does_not_go_into_the_mirror_that_it_holds(
    target: Path, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(target, "ours", [write(tmp_path / "one.jsonl")])
    before = sorted(target.rglob("*"))
    with pytest.raises(ConfigError, match="would lie in the mirror"):
        write_bundle(open_store(str(target)), target / place)
    monkeypatch.chdir(target)
    with pytest.raises(ConfigError, match="would lie in the mirror"):
        write_bundle(open_store(str(target)), Path(place))
    assert sorted(target.rglob("*")) == before
