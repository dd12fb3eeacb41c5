"""The demo's mirror: rows written for this project, laid out as the real repositories are.

Repositories, configurations, splits and columns have the hub's names, so lm-eval's own tasks load them; the
manifest says ``stand_in``, so they can only ever serve ``demo-`` benchmarks. ``a360/demo-heldout`` holds the
documents that the demo's training leaves out.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from a360.datasets.configurations import index_configurations
from a360.datasets.mirror import (
    INDEX_NAME,
    README_NAME,
    MirrorManifest,
    build_manifest,
    read_manifest,
    write_manifest,
)
from a360.datasets.sequences import FILE_NAME, write_sequences
from a360.datasets.staging import verify_files
from a360.demo.classifier import write_classifiers
from a360.demo.conversations import judge_prompt_rows, question_rows, reference_rows
from a360.demo.everyday import (
    copa_rows,
    openbook_rows,
    piqa_rows,
    siqa_rows,
    swag_rows,
    winogrande_rows,
)
from a360.demo.long_rows import line_rows, topic_rows
from a360.demo.pile_rows import pile_10k_rows, pile_rows
from a360.demo.programs import humaneval_rows, mbpp_rows
from a360.demo.questions import SUBJECTS, Row, Splits, arc_rows, boolq_rows, mmlu_rows, truthful_rows
from a360.demo.reading import drop_rows, race_rows, triviaqa_rows
from a360.demo.society import HAZARDS, crows_rows, toxigen_rows, wmdp_rows
from a360.demo.statements import (
    BOLD_PROMPTS,
    INTRODUCTIONS,
    bold_rows,
    dynahate_rows,
    social_bias_rows,
    toxicity_prompt,
    toxigen_prompts,
)
from a360.demo.stories import gsm8k_rows, hellaswag_rows, wikitext_rows
from a360.demo.text import SOURCES, Document, name_hash
from a360.errors import ConfigError, DataError
from a360.storage.os_errors import os_failure

REVISION = "demo-1"
HELDOUT_REPOSITORY = "a360/demo-heldout"
SEQUENCES_REPOSITORY = "a360/demo-sequences"

HELDOUT_DOCUMENTS = 24
LONG_DOCUMENTS = 2
"""How many of a source's documents are cut so late that they exceed one window of 2,048 tokens."""
SHORT_CHARS, LONG_CHARS = 2_000, 9_000
MIN_CHARS = 800


def write_mirror(
    target_dir: Path, heldout: Sequence[Document], sequences: Mapping[str, Sequence[Row]] | None = None
) -> MirrorManifest:
    """The manifest of the demo's mirror, which is written unless the same one is there already.

    ``sequences`` are those of the training run that was trained, by folder.

    Everything is written beside the target and renamed, so a mirror is whole or absent. The bytes depend on
    the held-out documents and the version of pyarrow only.

    Raises:
        ConfigError: the target holds something else than a mirror of the demo.
        TransientError: no space is left.
    """
    part = target_dir.with_name(f".{target_dir.name}.{os.getpid()}.part")
    repositories = _repositories(heldout)
    try:
        for name, configurations in repositories.items():
            _write_repository(part / name, configurations)
        names = [*repositories, *write_classifiers(part)]
        for folder, drawn in (sequences or {}).items():
            path = part / SEQUENCES_REPOSITORY / folder / FILE_NAME
            path.parent.mkdir(parents=True)
            write_sequences(path, drawn)
        names += [SEQUENCES_REPOSITORY] if sequences else []
        manifest = build_manifest(part, stand_in=True, revisions=dict.fromkeys(names, REVISION))
        write_manifest(part, manifest)
        if not _holds(target_dir, manifest):
            _replace(part, target_dir)
    except OSError as error:
        raise os_failure(error, str(error.filename or target_dir)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return manifest


def heldout_rows(documents: Sequence[Document], source: str) -> Splits:
    """The beginnings of held-out documents chosen by a hash of the name; a few exceed a window."""
    candidates = sorted(
        (each for each in documents if each.source == source and len(each.text) >= MIN_CHARS),
        key=lambda each: name_hash(each.name),
    )
    long = [each for each in candidates if len(each.text) >= LONG_CHARS][:LONG_DOCUMENTS]
    short = [each for each in candidates if each not in long][: HELDOUT_DOCUMENTS - len(long)]
    cuts = [(each, LONG_CHARS) for each in long] + [(each, SHORT_CHARS) for each in short]
    rows: list[Row] = [
        {"text": _cut(each.text, chars), "name": each.name, "source": source} for each, chars in cuts
    ]
    return {"test": rows}


def _repositories(heldout: Sequence[Document]) -> dict[str, dict[str, Splits]]:
    """Repository -> configuration -> split -> rows."""
    return {
        "cais/mmlu": {subject: mmlu_rows(subject) for subject in SUBJECTS},
        "EleutherAI/race": {"high": race_rows()},
        "allenai/ai2_arc": {"ARC-Challenge": arc_rows(), "ARC-Easy": arc_rows("arc-easy")},
        "allenai/openbookqa": {"main": openbook_rows()},
        "baber/piqa": {"default": piqa_rows()},
        "lighteval/siqa": {"default": siqa_rows()},
        "allenai/winogrande": {"winogrande_xl": winogrande_rows()},
        "jannalu/crows_pairs_multilingual": {"english": crows_rows()},
        "allenai/swag": {"regular": swag_rows()},
        "skg/toxigen-data": {"annotated": toxigen_rows()},
        "AlexaAI/bold": {domain: bold_rows(domain) for domain in BOLD_PROMPTS},
        "allenai/social_bias_frames": {"default": social_bias_rows()},
        "aps/dynahate": {"default": dynahate_rows()},
        "toxigen/toxigen-data": {"prompts": toxigen_prompts()},
        "a360/toxicity-prompts": {name: toxicity_prompt(name) for name in INTRODUCTIONS},
        "a360/long-eval-lines": {"test": line_rows()},
        "a360/long-eval-topics": {"test": topic_rows()},
        "a360/mt-bench": {
            "questions": question_rows(),
            "references": reference_rows(),
            "judge_prompts": judge_prompt_rows(),
        },
        "cais/wmdp": {subject: wmdp_rows(subject) for subject in HAZARDS},
        "mandarjoshi/trivia_qa": {"rc.nocontext": triviaqa_rows()},
        "EleutherAI/drop": {"default": drop_rows()},
        "Rowan/hellaswag": {"default": hellaswag_rows()},
        "truthfulqa/truthful_qa": {"multiple_choice": truthful_rows()},
        "aps/super_glue": {"boolq": boolq_rows(), "copa": copa_rows()},
        "openai/gsm8k": {"main": gsm8k_rows()},
        "EleutherAI/wikitext_document_level": {"wikitext-2-raw-v1": wikitext_rows()},
        "openai/openai_humaneval": {"openai_humaneval": humaneval_rows()},
        "google-research-datasets/mbpp": {"full": mbpp_rows()},
        "pile": {"test": pile_rows()},
        "NeelNanda/pile-10k": {"data": pile_10k_rows()},
        HELDOUT_REPOSITORY: {source: heldout_rows(heldout, source) for source in SOURCES},
    }


def _write_repository(root: Path, configurations: Mapping[str, Splits]) -> None:
    """``<configuration>/<split>-00000-of-00001.parquet`` for every split, and what names them."""
    for configuration, splits in configurations.items():
        (root / configuration).mkdir(parents=True)
        for split, rows in splits.items():
            if not rows:
                raise DataError(f"{root.name}/{configuration} has no rows for its split {split}")
            path = root / configuration / f"{split}-00000-of-00001.parquet"
            pq.write_table(pa.Table.from_pylist(rows), path)
    readme = _readme(configurations).encode()
    (root / README_NAME).write_bytes(readme)
    if index := index_configurations(readme):
        (root / INDEX_NAME).write_bytes(index)


def _readme(configurations: Mapping[str, Splits]) -> str:
    """Front matter in the hub's form, from which ``datasets`` learns the configurations."""
    lines = ["---", "configs:"]
    for configuration, splits in configurations.items():
        lines += [f"- config_name: {configuration}", "  data_files:"]
        for split in splits:
            lines += [f"  - split: {split}", f"    path: {configuration}/{split}-*"]
    lines += [
        "---",
        "Rows written for the demo of a360, in the schema of the data set whose name they bear. They stand",
        "in for it so that the demo needs no download; scores on them say nothing about the benchmark.",
    ]
    return "\n".join(lines) + "\n"


def _holds(target_dir: Path, manifest: MirrorManifest) -> bool:
    """True when the target is this mirror, undamaged.

    Raises:
        ConfigError: it is something else that must not be replaced.
    """
    if not target_dir.exists():
        return False
    try:
        present = read_manifest(target_dir)
    except ConfigError as error:
        raise ConfigError(
            f"{target_dir} exists and is not a mirror, expected no directory or the demo's mirror",
            hint="remove it, or choose another directory",
        ) from error
    if not present.stand_in:
        raise ConfigError(f"{target_dir} is a mirror of real data sets; the demo does not replace it")
    try:
        verify_files(target_dir, manifest, list(manifest.repositories))
    except DataError:
        return False
    return present == manifest


def _replace(part: Path, target_dir: Path) -> None:
    old = part.with_suffix(".old")
    if target_dir.exists():
        target_dir.rename(old)
    part.rename(target_dir)
    shutil.rmtree(old, ignore_errors=True)


def _cut(text: str, chars: int) -> str:
    """Whole lines up to a length."""
    if len(text) <= chars:
        return text
    return text[: text.rindex("\n", 0, chars) + 1]
