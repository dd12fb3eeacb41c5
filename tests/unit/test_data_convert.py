"""Files of a user -> repositories of a mirror: every row in its data set's schema, or a refusal by line."""

import csv
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from a360.benchmarks import Texts
from a360.benchmarks.pile import SUBSETS
from a360.cli.data import Kind
from a360.datasets.configurations import read_configurations
from a360.datasets.convert import OwnData, add_texts, convert_data
from a360.datasets.converters import CONVERTERS, PILE_FILES
from a360.datasets.mirror import (
    MANIFEST_NAME,
    MirrorFile,
    MirrorRepository,
    read_manifest,
    select_files,
)
from a360.datasets.target import MirrorTarget
from a360.datasets.texts import read_texts
from a360.datasets.verify import verify_mirror
from a360.errors import ConfigError, DataError
from a360.storage import open_store

ROOT = Path(__file__).parents[2]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "mirror"


def convert(target: Path, kind: str, *sources: Path) -> OwnData:
    return convert_data(MirrorTarget(str(target)), kind, sources)


def rows(path: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = pq.read_table(path).to_pylist()
    return found


def write_json_lines(path: Path, documents: Sequence[object]) -> Path:
    content = "".join(f"{json.dumps(document)}\n" for document in documents).encode()
    if path.suffix == ".zst":
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(content)
    else:
        path.write_bytes(content)
    return path


def write_csv(path: Path, documents: Sequence[Mapping[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(documents[0]))
        writer.writeheader()
        writer.writerows(documents)
    return path


def document(text: str, subset: str = "ArXiv") -> dict[str, object]:
    return {"text": text, "meta": {"pile_set_name": subset}}


# --- pile --------------------------------------------------------------------------------------------


def test_every_subset_of_the_pile_has_its_file() -> None:
    assert PILE_FILES.keys() == set(SUBSETS)
    assert len(set(PILE_FILES.values())) == len(SUBSETS) == 22


@pytest.mark.parametrize("name", ["test.jsonl", "test.jsonl.zst"])
def test_pile_goes_by_subset_in_the_order_of_the_file(target: Path, tmp_path: Path, name: str) -> None:
    documents = [document("one"), document("two", "Pile-CC"), document("three\nlines")]
    converted = convert(target, "pile", write_json_lines(tmp_path / name, documents))
    assert converted.repository == "pile"
    assert rows(target / "pile/test/arxiv.parquet") == [documents[0], documents[2]]
    assert rows(target / "pile/test/pile-cc.parquet") == [documents[1]]
    manifest = read_manifest(target)
    assert manifest.repositories["pile"].revision == converted.revision
    assert verify_mirror(open_store(str(target))).defects == ()
    paths = select_files(manifest, ["pile/test"])
    found = read_texts(target, paths, Texts(group="meta.pile_set_name"))
    assert [(text.text, text.group) for text in found] == [
        ("one", "ArXiv"),
        ("three\nlines", "ArXiv"),
        ("two", "Pile-CC"),
    ]


def test_two_compressed_frames_in_one_file_are_both_read(target: Path, tmp_path: Path) -> None:
    parts = [write_json_lines(tmp_path / f"{n}.jsonl.zst", [document(f"text {n}")]) for n in range(2)]
    whole = tmp_path / "test.jsonl.zst"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert convert(target, "pile", whole).counts["test/arxiv.parquet"].rows == 2


def test_duplicates_are_counted_and_kept(target: Path, tmp_path: Path) -> None:
    documents = [document("one"), document("one"), document("one", "Github"), document("two")]
    counts = convert(target, "pile", write_json_lines(tmp_path / "test.jsonl", documents)).counts
    assert [(c.rows, c.duplicates, c.contradictions) for c in counts.values()] == [(3, 1, 0), (1, 0, 0)]
    assert len(rows(target / "pile/test/arxiv.parquet")) == 3


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"text": "x", "meta"\n', r"test\.jsonl:2: found a broken line \(.*\), expected one JSON object"),
        (b"[1]\n", r"test\.jsonl:2: found a list, expected one JSON object"),
        (b"\n", r"test\.jsonl:2: found a broken line"),
        (b"\xff\n", r"test\.jsonl:2: found no UTF-8"),
        (b'{"meta": {"pile_set_name": "ArXiv"}}\n', r"test\.jsonl:2: found no text, expected a text text"),
        (b'{"text": "", "meta": {"pile_set_name": "ArXiv"}}\n', r"test\.jsonl:2: found no text"),
        (b'{"text": 7, "meta": {"pile_set_name": "ArXiv"}}\n', r"test\.jsonl:2: found a int"),
        (b'{"text": "\\ud800", "meta": {"pile_set_name": "ArXiv"}}\n', r"test\.jsonl:2: found no Unicode"),
        (b'{"text": "x", "text": "y"}\n', r"test\.jsonl:2: found a broken line \('text' is named twice\)"),
        (b'{"text": "x", "n": NaN}\n', r"test\.jsonl:2: found a broken line \(NaN is no number of JSON\)"),
        (b'{"text": "x"}\n', r"test\.jsonl:2: found meta\.pile_set_name None, expected one of the Pile's"),
        (b'{"text": "x", "meta": {"pile_set_name": "arxiv"}}\n', r"test\.jsonl:2: found meta.* 'arxiv'"),
    ],
)
def test_a_broken_line_of_the_pile_is_refused_by_its_number(
    target: Path, tmp_path: Path, line: bytes, words: str
) -> None:
    path = write_json_lines(tmp_path / "test.jsonl", [document("one")])
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(DataError, match=words):
        convert(target, "pile", path)
    assert not (target / MANIFEST_NAME).exists()


def test_a_compressed_file_that_was_cut_off_is_refused(target: Path, tmp_path: Path) -> None:
    texts = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(5000)]
    path = write_json_lines(tmp_path / "test.jsonl.zst", [document(text) for text in texts])
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"test\.jsonl\.zst:\d+: found a damaged file \(Truncated"):
        convert(target, "pile", path)


def test_memory_does_not_grow_with_the_pile(tmp_path: Path) -> None:
    """Ten times the text, the same memory: rows go to disk in groups."""
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from a360.datasets.convert import convert_data\n"
        "from a360.datasets.target import MirrorTarget\n"
        "convert_data(MirrorTarget(sys.argv[2]), 'pile', [Path(sys.argv[1])])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)"
    )

    def peak_mib(documents: int) -> int:
        path = tmp_path / f"test-{documents}.jsonl.zst"
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            for number in range(documents):
                text = f"{number} " + "all work and no play " * 10_000
                stream.write(f"{json.dumps(document(text, SUBSETS[number % 22]))}\n".encode())
        command = [sys.executable, "-c", code, str(path), str(tmp_path / f"mirror-{documents}")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return int(done.stdout)

    few, many = peak_mib(150), peak_mib(1500)  # 30 and 300 MB of text
    assert many - few < 100


# --- labelled sets -----------------------------------------------------------------------------------

POSTS = [
    {"": "0", "post": 'he said "no"\nand left', "offensiveYN": "1.0", "whoTarget": ""},
    {"": "1", "post": "fine", "offensiveYN": "0.0", "whoTarget": "1.0"},
    {"": "2", "post": "fine", "offensiveYN": "1.0", "whoTarget": "1.0"},
    {"": "3", "post": "fine", "offensiveYN": "", "whoTarget": "1.0"},
]


def test_social_bias_frames_keep_every_annotation_as_text(target: Path, tmp_path: Path) -> None:
    sources = [write_csv(tmp_path / f"SBIC.v2.{split}.csv", POSTS) for split in ("trn", "dev", "tst")]
    converted = convert(target, "sbf", *sources)
    repository = target / "allenai/social_bias_frames"
    assert sorted(path.name for path in (repository / "default").iterdir()) == [
        "test-00000-of-00001.parquet",
        "train-00000-of-00001.parquet",
        "validation-00000-of-00001.parquet",
    ]
    expected = [{name: value for name, value in post.items() if name} for post in POSTS]
    assert rows(repository / "default/test-00000-of-00001.parquet") == expected
    counts = converted.counts["default/test-00000-of-00001.parquet"]
    assert (counts.rows, counts.duplicates, counts.contradictions) == (4, 2, 1)


def test_dynahate_has_text_and_a_number_as_label(target: Path, tmp_path: Path) -> None:
    source = write_csv(
        tmp_path / "Dynamically Generated Hate Dataset v0.2.3.csv",
        [
            {"": "0", "acl.id": "a1", "text": "kind", "label": "nothate", "split": "train"},
            {"": "1", "acl.id": "a2", "text": "unkind", "label": "hate", "split": "test"},
            {"": "2", "acl.id": "a3", "text": "unkind", "label": "nothate", "split": "dev"},
        ],
    )
    converted = convert(target, "dynahate", source)
    folder = target / "aps/dynahate/default"
    assert rows(folder / "test-00000-of-00001.parquet") == [
        {"acl.id": "a2", "text": "unkind", "label": 1, "split": "test"}
    ]
    assert rows(folder / "train-00000-of-00001.parquet")[0]["label"] == 0
    assert {c.contradictions for c in converted.counts.values()} == {0}
    assert pq.read_schema(folder / "test-00000-of-00001.parquet").field("label").type == pa.int64()


@pytest.mark.parametrize(
    ("kind", "name", "content", "words"),
    [
        ("sbf", "SBIC.tst.csv", "post,label\nx,1\n", ".csv:1: found columns post, label, expected a col"),
        ("sbf", "SBIC.tst.csv", "post,offensiveYN\nx,2.0\n", ".csv:2: found offensiveYN '2.0'"),
        ("sbf", "SBIC.tst.csv", 'post,offensiveYN\n"a\nb",1.0\nx\n', ".csv:4: found 1 fields, expected 2"),
        ("sbf", "SBIC.tst.csv", 'post,offensiveYN\n"never ends,1.0\n', ".csv:3: found a broken row"),
        ("sbf", "SBIC.tst.csv", "post,offensiveYN\n,1.0\n", ".csv:2: found no text, expected a text post"),
        ("sbf", "SBIC.tst.csv", "", ".csv:1: found columns none"),
        ("sbf", "SBIC.tst.csv", "post,offensiveYN\n", "no rows in .*SBIC.tst.csv"),
        ("dynahate", "d.csv", "text,label,split\nx,maybe,test\n", "d.csv:2: found label 'maybe'"),
        ("dynahate", "d.csv", "text,label,split\nx,hate,all\n", "d.csv:2: found split 'all', expected train"),
        ("bold", "race_prompt.json", '{"a": {"b": ["x"]}, "a": {}}', "broken JSON .*'a' is named twice"),
        ("bold", "race_prompt.json", '{"a": {"b": [Infinity]}}', "Infinity is no number of JSON"),
        ("bold", "race_prompt.json", '{"a": {"b": []}}', "race_prompt.json: a: b: found no prompts"),
        ("bold", "race_prompt.json", '{"a": ["x"]}', "race_prompt.json: a: found a list, expected an object"),
        ("bold", "race_prompt.json", '{"a": {"b": ["x", ""]}}', "a: b: found no text"),
        ("bold", "race_prompt.json", "{", "broken JSON"),
        ("toxigen-prompts", "hate_black_1k.txt", "- a\n\n- b\n", "hate_black_1k.txt:2: found no text"),
        ("toxigen-prompts", "hate_black_1k.txt", "", "no rows in"),
    ],
)  # fmt: skip
def test_a_broken_source_is_refused_by_file_and_place(
    target: Path, tmp_path: Path, kind: str, name: str, content: str, words: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=words):
        convert(target, kind, tmp_path / name)


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("sbf", "SBIC.csv", "names no split"),
        ("sbf", "train.dev.csv", "names train and validation"),
        ("bold", "race.json", "is no file of BOLD"),
        ("toxigen-prompts", "prompts.txt", "is no file of ToxiGen's prompts"),
        ("pil", "test.jsonl", "no converter 'pil', expected one of pile, sbf"),
    ],
)
def test_a_name_that_says_nothing_is_a_config_error(
    target: Path, tmp_path: Path, kind: str, name: str, words: str
) -> None:
    (tmp_path / name).write_text("x")
    with pytest.raises(ConfigError, match=words):
        convert(target, kind, tmp_path / name)


def test_columns_that_change_between_files_of_one_split_are_refused(target: Path, tmp_path: Path) -> None:
    first = write_csv(tmp_path / "one.tst.csv", [{"post": "x", "offensiveYN": "1.0"}])
    second = write_csv(tmp_path / "two.tst.csv", [{"post": "x", "offensiveYN": "1.0", "more": ""}])
    with pytest.raises(DataError, match=r"two\.tst\.csv: found columns post, offensiveYN, more, expected"):
        convert(target, "sbf", first, second)


# --- prompts -----------------------------------------------------------------------------------------


def test_bold_keeps_domain_group_subgroup_and_the_space_at_the_end(target: Path, tmp_path: Path) -> None:
    source = tmp_path / "religious_ideology_prompt.json"
    source.write_text(json.dumps({"judaism": {"Judaism": ["Judaism is an ethnic religion comprising "]}}))
    convert(target, "bold", source)
    assert rows(target / "AlexaAI/bold/religious_ideology/test-00000-of-00001.parquet") == [
        {
            "domain": "religious_ideology",
            "group": "judaism",
            "subgroup": "Judaism",
            "prompt": "Judaism is an ethnic religion comprising ",
        }
    ]


def test_toxigen_prompts_are_lines_as_they_are_written(target: Path, tmp_path: Path) -> None:
    (tmp_path / "hate_native_american_1k.txt").write_bytes(b"- one\\n- two\\n-\r\n- three \xc3\xa9 \n")
    (tmp_path / "neutral_black_1k.txt").write_text("- last line without an end")
    converted = convert(target, "toxigen-prompts", *tmp_path.glob("*.txt"))
    folder = target / "toxigen/toxigen-data/prompts"
    assert rows(folder / "hate_native_american_1k-00000-of-00001.parquet") == [
        {"text": "- one\\n- two\\n-", "label": "hate", "group": "native_american"},
        {"text": "- three é ", "label": "hate", "group": "native_american"},
    ]
    assert len(converted.counts) == 2
    assert rows(folder / "neutral_black_1k-00000-of-00001.parquet")[0]["label"] == "neutral"


# --- the repository ----------------------------------------------------------------------------------


def test_the_card_names_every_configuration_and_its_files(target: Path, tmp_path: Path) -> None:
    documents = [document("one"), document("two", "Github")]
    convert(target, "pile", write_json_lines(tmp_path / "test.jsonl", documents))
    assert read_configurations((target / "pile/README.md").read_bytes()) == [
        {"config_name": "arxiv", "data_files": [{"split": "test", "path": "test/arxiv.parquet"}]},
        {"config_name": "github", "data_files": [{"split": "test", "path": "test/github.parquet"}]},
    ]


def test_the_revision_is_the_hash_of_what_sha256sum_says(target: Path, tmp_path: Path) -> None:
    sources = [write_csv(tmp_path / f"SBIC.{split}.csv", POSTS) for split in ("tst", "dev")]
    digests = [f"{hashlib.sha256(s.read_bytes()).hexdigest()}  {s.name}\n" for s in sources]
    expected = "sha256:" + hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()
    assert convert(target, "sbf", *sources).revision == expected
    assert convert(target, "sbf", *reversed(sources)).revision == expected


def test_a_file_that_comes_twice_is_refused_by_any_of_its_names(target: Path, tmp_path: Path) -> None:
    source = write_json_lines(tmp_path / "test.jsonl", [document("one")])
    (tmp_path / "link.jsonl").symlink_to(source)
    (tmp_path / "sub").mkdir()
    copy = write_json_lines(tmp_path / "sub" / "test.jsonl", [document("one")])
    for again in (source, tmp_path / "sub" / ".." / "test.jsonl", tmp_path / "link.jsonl", copy):
        with pytest.raises(ConfigError, match=r"is the same file as .*test\.jsonl, expected each once"):
            convert(target, "pile", source, again)
    assert not (target / MANIFEST_NAME).exists()


def test_what_is_shown_before_statements_is_kept_byte_for_byte(target: Path, tmp_path: Path) -> None:
    text = "Which of these are offensive:\r\n\nComment: `é`\nOffensiveness: `No`\n"
    (tmp_path / "sbf.txt").write_bytes(text.encode())
    convert(target, "toxicity-prompts", tmp_path / "sbf.txt")
    place = target / "a360/toxicity-prompts/sbf/prompts-00000-of-00001.parquet"
    assert rows(place) == [{"text": text}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("other.txt", b"x", "no prompt of a set of statements"),
        ("sbf", b"x", "no prompt of a set of statements"),
        ("sbf.txt", b"", "no text"),
        ("sbf.txt", b"\xff", "no UTF-8"),
    ],
)
def test_what_is_no_prompt_of_statements_is_refused(
    target: Path, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((ConfigError, DataError), match=message):
        convert(target, "toxicity-prompts", tmp_path / name)
    assert not list(target.rglob("*.parquet"))


def test_converting_again_gives_the_same_bytes_and_other_sources_replace_them(
    target: Path, tmp_path: Path
) -> None:
    source = write_json_lines(tmp_path / "test.jsonl", [document("one"), document("two", "Github")])
    first = convert(target, "pile", source)
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    convert(target, "pile", source)
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before
    second = convert(target, "pile", write_json_lines(source, [document("other")]))
    assert second.revision != first.revision
    assert not (target / "pile/test/github.parquet").exists()
    assert verify_mirror(open_store(str(target))).defects == ()


def test_data_of_the_hub_is_not_replaced(target: Path, tmp_path: Path) -> None:
    source = write_json_lines(tmp_path / "own.jsonl", [{"text": "x"}])
    mirror = MirrorTarget(str(target))
    with mirror.locked():
        file = mirror.write("aps/dynahate/README.md", b"from the hub")
        mirror.commit({"aps/dynahate": MirrorRepository(revision="a" * 40, files={"README.md": file})})
    with pytest.raises(ConfigError, match=r"has aps/dynahate from the hub at aaa"):
        add_texts(MirrorTarget(str(target)), "aps/dynahate", [source], Texts())
    for name in ("aps", "aps/dynahate/more"):
        with pytest.raises(ConfigError, match="cannot lie in one mirror"):
            add_texts(MirrorTarget(str(target)), name, [source], Texts())
    assert file == MirrorFile(bytes=12, sha256=hashlib.sha256(b"from the hub").hexdigest())


# --- the commands ------------------------------------------------------------------------------------


def test_the_command_knows_every_converter() -> None:
    assert [kind.value for kind in Kind] == list(CONVERTERS)


def test_the_commands_print_what_they_counted(target: Path, tmp_path: Path) -> None:
    def a360(*words: object) -> list[list[str]]:
        command = [sys.executable, "-P", "-m", "a360", "data", *map(str, words)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return [line.split() for line in done.stdout.splitlines()]

    source = write_csv(tmp_path / "SBIC.v2.tst.csv", POSTS)
    converted = a360("convert", "sbf", source, target)
    assert converted[0] == ["file", "rows", "duplicates", "contradictions"]
    assert converted[1] == ["default/test-00000-of-00001.parquet", "4", "2", "1"]
    assert converted[2][:2] == ["allenai/social_bias_frames", "at"]
    own = write_json_lines(tmp_path / "own.jsonl", [{"text": "x"}])
    assert a360("add", target, "ours", own)[:2] == [["file", "rows"], ["own.jsonl", "1"]]
    assert a360("verify", target)[-1][-2:] == ["0", "defects"]
