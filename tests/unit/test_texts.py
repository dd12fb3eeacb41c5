"""Documents from parquet, JSONL and JSONL.zst: all of them, or a refusal by file and line."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from a360.benchmarks import Texts
from a360.datasets.texts import Document, read_texts
from a360.errors import DataError

PLAIN = Texts()
GROUPED = Texts(group="meta.pile_set_name")
ROWS: list[dict[str, object]] = [
    {"text": f"text {n} é\n", "meta": {"pile_set_name": name}, "id": n}
    for n, name in enumerate(["ArXiv", "Github", "ArXiv"])
]


def lines_of(rows: list[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def zst(data: bytes) -> bytes:
    compressed: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return compressed


def write_parquet(path: Path, rows: list[dict[str, object]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)


WRITERS: dict[str, Callable[[Path, list[dict[str, object]]], object]] = {
    "parquet": write_parquet,
    "jsonl": lambda path, rows: path.write_bytes(lines_of(rows)),
    "jsonl.zst": lambda path, rows: path.write_bytes(zst(lines_of(rows))),
}


def read(directory: Path, texts: Texts = PLAIN) -> list[Document]:
    paths = sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())
    return list(read_texts(directory, paths, texts))


def fault_of(directory: Path, texts: Texts = PLAIN) -> str:
    with pytest.raises(DataError) as raised:
        read(directory, texts)
    assert raised.value.exit_code == 3
    assert raised.value.hint
    return raised.value.message


@pytest.mark.parametrize("ending", WRITERS)
def test_every_kind_of_file_gives_the_same_documents(ending: str, tmp_path: Path) -> None:
    WRITERS[ending](tmp_path / f"a.{ending}", ROWS)
    expected = [Document(f"text {n} é\n", group, f"a.{ending}:{n + 1}") for n, group in enumerate(
        ["ArXiv", "Github", "ArXiv"]
    )]  # fmt: skip
    assert read(tmp_path, GROUPED) == expected
    assert [document.group for document in read(tmp_path)] == [None] * 3


def test_frames_of_zstd_that_were_put_together_are_read_to_the_end(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.zst").write_bytes(zst(lines_of(ROWS)) + zst(lines_of(ROWS)))
    assert len(read(tmp_path)) == 6


def test_files_are_read_in_order_and_what_is_no_data_is_left_alone(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl", "c/d.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(lines_of([{"text": name}]))
    for name in ("README.md", "LICENSE", ".gitattributes", "dataset_infos.json", "c/dataset_info.json"):
        (tmp_path / name).write_text("no data")
    assert [document.text for document in read(tmp_path)] == ["a.jsonl", "b.jsonl", "c/d.jsonl"]


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv", "a.zst", "a.txt", "a.json", "my_dataset_infos.json"])
def test_a_file_of_another_kind_is_refused_not_skipped(name: str, tmp_path: Path) -> None:
    (tmp_path / "0.jsonl").write_bytes(lines_of(ROWS))
    (tmp_path / name).write_text("x")
    assert f"texts cannot be read: {name}: found a file ending in" in fault_of(tmp_path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"text": "a"', "the line is broken: found Expecting"),
        (b"", "the line is broken: found Expecting value"),
        (b'{"text": "\xff"}', "the line is broken: found 'utf-8' codec can't decode"),
        (b'{"text": "a", "text": "b"}', "the line is broken: found 'text' is named twice"),
        (b'{"text": "a", "x": [-Infinity]}', "the line is broken: found -Infinity is no number of JSON"),
        (b'["text"]', "the field text is missing: found a list, expected an object with text"),
        (b'{"body": "a"}', "the field text is missing: found body, expected text"),
        (b"{}", "the field text is missing: found {}, expected text"),
        (b'{"text": ""}', "text is empty: found no character, expected a text"),
        (b'{"text": null}', "text is no text: found a null, expected a string"),
        (b'{"text": ["a"]}', "text is no text: found a list, expected a string"),
        (b'{"text": "\\ud800"}', "text is no Unicode text: found surrogates not allowed"),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_a_line_that_is_no_document_is_refused_by_file_and_number(
    line: bytes, said: str, compressed: bool, tmp_path: Path
) -> None:
    data = lines_of(ROWS[:2]) + line + b"\n" + lines_of(ROWS[2:])
    name = "a.jsonl.zst" if compressed else "a.jsonl"
    (tmp_path / name).write_bytes(zst(data) if compressed else data)
    assert f"document cannot be scored: {name}:3: {said}" in fault_of(tmp_path)


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        (
            None,
            "the field meta.pile_set_name is missing: found a null, expected an object with pile_set_name",
        ),
        ({}, "the field meta.pile_set_name is missing: found {}, expected pile_set_name"),
        ({"pile_set_name": ""}, "meta.pile_set_name names no group: found an empty string"),
        ({"pile_set_name": True}, "meta.pile_set_name names no group: found a bool"),
    ],
)
def test_a_document_without_its_group_is_refused(meta: object, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines_of([{"text": "a", "meta": meta}]))
    assert f"a.jsonl:1: {said}" in fault_of(tmp_path, GROUPED)


def test_a_whole_number_can_name_a_group(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines_of([{"text": "a", "year": 2019}]))
    assert read(tmp_path, Texts(group="year"))[0].group == "2019"


def test_a_null_in_parquet_is_refused_by_row(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", [*ROWS, {"text": None, "meta": None, "id": 3}])
    assert "a.parquet:4: text is no text: found a null" in fault_of(tmp_path)


def test_parquet_without_the_column_names_those_it_has(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", ROWS)
    said = fault_of(tmp_path, Texts(text="content"))
    assert said == "texts lack a field: a.parquet has columns text, meta, id, expected content"


@pytest.mark.parametrize("ending", ["parquet", "jsonl.zst"])
def test_a_file_cut_short_is_damaged(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    WRITERS[ending](path, ROWS * 50)
    path.write_bytes(path.read_bytes()[:-20])
    assert f"texts cannot be read: a.{ending} is damaged" in fault_of(tmp_path)


def test_a_missing_file_is_the_stores_error_and_no_damage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read_texts(tmp_path, ["a.jsonl"], PLAIN))
