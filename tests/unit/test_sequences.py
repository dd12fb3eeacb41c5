"""Training sequences: drawn from chunks of any size in one pass, the same ones every time."""

import json
import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from a360.datasets.mirror import data_revision, read_manifest
from a360.datasets.sequences import KEPT_TOKENS, Draw, Drawn, chunk_folders, draw_sequences, read_sequences
from a360.datasets.target import MirrorTarget
from a360.errors import ConfigError, DataError

NAME = "amber/sequences"
SEQUENCE = list(range(2049))


def write_chunk(path: Path, rows: int, *, bad: tuple[int, str] | None = None) -> Path:
    """A chunk whose sources lie one after the other; token 0 is the number of the line."""
    sources = ["arxiv"] * (rows // 2) + ["book"] * (rows - rows // 2)
    lines = [
        json.dumps({"token_ids": [number, *SEQUENCE[1:]], "source": source})
        for number, source in enumerate(sources, start=1)
    ]
    if bad:
        lines[bad[0] - 1] = bad[1]
    data = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(pa.compress(data, codec="zstd", asbytes=True) if path.suffix == ".zst" else data)
    return path


def draw(directory: Path, *paths: Path, sequences: int = 10, seed: int = 0) -> dict[str, Drawn]:
    target = MirrorTarget(str(directory / "mirror"))
    return draw_sequences(target, NAME, chunk_folders(paths), Draw(sequences=sequences, seed=seed))


def drawn_lines(directory: Path, folder: str = "chunk-000") -> list[int]:
    path = f"{NAME}/{folder}/sequences-00000-of-00001.parquet"
    return [sequence.line for sequence in read_sequences(directory / "mirror", [path])]


def test_the_first_tokens_of_drawn_lines_are_kept_with_their_place(tmp_path: Path) -> None:
    found = draw(tmp_path, write_chunk(tmp_path / "train_000.jsonl", 40))
    assert found["chunk-000"].lines == 40
    path = f"{NAME}/chunk-000/sequences-00000-of-00001.parquet"
    sequences = list(read_sequences(tmp_path / "mirror", [path]))
    assert len(sequences) == 10
    for sequence in sequences:
        assert sequence.tokens == (sequence.line, *SEQUENCE[1:KEPT_TOKENS])
        assert sequence.source == ("arxiv" if sequence.line <= 20 else "book")
        assert sequence.chunk == "chunk-000"
    assert drawn_lines(tmp_path) == sorted(drawn_lines(tmp_path))


def test_chunks_that_are_ordered_by_source_are_drawn_from_evenly(tmp_path: Path) -> None:
    """Without a shuffle the first thousand lines would be of one source."""
    ranks = Counter(line * 20 // 10_001 for line in sorted(range(1, 10_001), key=Draw().rank)[:1000])
    assert all(25 < ranks[part] < 75 for part in range(20))  # 50 are expected, with a deviation of 7
    [found] = draw(tmp_path, write_chunk(tmp_path / "train_000.jsonl", 400), sequences=100).values()
    assert set(found.sources) == {"arxiv", "book"}
    assert min(found.sources.values()) > 35


def test_the_same_seed_draws_the_same_and_another_one_others(tmp_path: Path) -> None:
    chunk = write_chunk(tmp_path / "train_000.jsonl", 200)
    found = []
    for number, seed in enumerate((0, 0, 1)):
        directory = tmp_path / str(number)
        directory.mkdir()
        draw(directory, chunk, seed=seed)
        found.append((read_manifest(directory / "mirror"), drawn_lines(directory)))
    assert found[0] == found[1]
    assert found[0][1] != found[2][1]


def test_a_new_chunk_changes_nothing_of_the_others(tmp_path: Path) -> None:
    draw(tmp_path, write_chunk(tmp_path / "train_000.jsonl", 40))
    before = read_manifest(tmp_path / "mirror")
    draw(tmp_path, write_chunk(tmp_path / "train_001.jsonl.zst", 50))
    after = read_manifest(tmp_path / "mirror")
    folder = (f"{NAME}/chunk-000",)
    assert data_revision(before, folder) == data_revision(after, folder)
    assert len(after.repositories[NAME].files) == 2
    assert data_revision(after, (f"{NAME}/chunk-001",)) != data_revision(after, folder)
    assert before.repositories[NAME].revision != after.repositories[NAME].revision


def test_a_chunk_with_fewer_sequences_gives_all_of_them_and_says_so(tmp_path: Path) -> None:
    found = draw(tmp_path, write_chunk(tmp_path / "train_007.jsonl", 4))
    assert (found["chunk-007"].lines, found["chunk-007"].sequences) == (4, 4)
    assert drawn_lines(tmp_path, "chunk-007") == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"train_000\.jsonl:2: the line is broken"),
        ('{"source": "x"}', r"train_000\.jsonl:2: the field token_ids is missing"),
        (
            '{"token_ids": [1, 2], "source": "x"}',
            r"jsonl:2: the sequence is too short: found 2 tokens",
        ),
        ('{"token_ids": [1, "2"], "source": "x"}', r"train_000\.jsonl:2: token_ids are no tokens"),
        ('{"token_ids": [-1], "source": "x"}', r"train_000\.jsonl:2: token_ids are no tokens"),
        (json.dumps({"token_ids": SEQUENCE}), r"train_000\.jsonl:2: the field source is missing"),
    ],
)
def test_a_drawn_line_that_is_no_sequence_is_refused_by_file_and_line(
    tmp_path: Path, line: str, message: str
) -> None:
    chunk = write_chunk(tmp_path / "train_000.jsonl", 3, bad=(2, line))
    with pytest.raises(DataError, match=message):
        draw(tmp_path, chunk)
    assert not list((tmp_path / "mirror").rglob("*.parquet"))


def test_an_empty_chunk_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"chunk has no sequence: .*train_000\.jsonl"):
        draw(tmp_path, write_chunk(tmp_path / "train_000.jsonl", 0))
    damaged = write_chunk(tmp_path / "train_001.jsonl.zst", 40)
    damaged.write_bytes(damaged.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"chunk cannot be read: .*train_001"):
        draw(tmp_path, damaged)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train.jsonl"], "is no chunk, expected a name such as train_007.jsonl or control.jsonl"),
        (["train_1.csv"], "is no chunk"),
        (["a_1.jsonl", "b_01.jsonl"], "are both chunk-001, expected each chunk once"),
    ],
)
def test_files_that_name_no_chunk_or_the_same_one_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        chunk_folders(map(Path, names))


def test_chunks_are_told_by_their_number_in_any_form() -> None:
    folders = chunk_folders([Path("train_35.jsonl"), Path("x/train_007.jsonl.zst"), Path("control.jsonl")])
    assert list(folders) == ["chunk-035", "chunk-007", "control"]


def test_the_draw_does_not_depend_on_memory_or_order(tmp_path: Path) -> None:
    wanted = Draw(sequences=25, seed=9)
    lines = list(range(1, 1001))
    random.Random(3).shuffle(lines)
    expected = sorted(sorted(lines, key=wanted.rank)[:25])
    draw(tmp_path, write_chunk(tmp_path / "train_000.jsonl", 1000), sequences=25, seed=9)
    assert drawn_lines(tmp_path) == expected


@pytest.mark.parametrize("name", ["../outside", ".a360-mirror/ours", "manifest.json/ours"])
def test_a_name_that_is_the_mirrors_own_is_refused_before_a_line_is_read(tmp_path: Path, name: str) -> None:
    target = MirrorTarget(str(tmp_path / "mirror"))
    with pytest.raises(ConfigError):
        draw_sequences(target, name, {"control": tmp_path / "no such file"}, Draw())
    assert not (tmp_path / "mirror").exists()


def test_a_repository_of_the_hub_is_not_drawn_over(tmp_path: Path) -> None:
    draw(tmp_path, write_chunk(tmp_path / "train_007.jsonl", 4))
    target = MirrorTarget(str(tmp_path / "mirror"))
    target.commit({NAME: target.manifest.repositories[NAME].model_copy(update={"revision": "aaa"})})
    with pytest.raises(ConfigError, match=f"has {NAME} from the hub at aaa"):
        draw(tmp_path, write_chunk(tmp_path / "train_008.jsonl", 4))
