"""The demo's stand-ins for the classifiers of ToxiGen: a BERT whose weights are written down, not trained.

A word is friendly, hostile or neither: +1, -1 or 0 along one direction. Attention with zero queries takes the
mean of all words, and every other part passes it on, so a text is toxic when more of its words are hostile
than friendly. It judges by two lists of words, and says nothing about a model; it shows that the path works.
"""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

FRIENDLY_WORDS = ("can", "friend", "good", "help", "like", "may", "please", "thank", "well", "you")
HOSTILE_WORDS = (
    "bad", "cannot", "deprecated", "error", "errors", "exception", "fail", "failed", "invalid", "liar",
    "must", "never", "no", "nobody", "not", "raise", "stupid", "unexpected", "wrong",
)  # fmt: skip
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
HIDDEN, POSITIONS = 4, 128
CLASSIFIERS = {
    "models/tomh/toxigen_hatebert": ("LABEL_0", "LABEL_1"),
    "models/tomh/toxigen_roberta": ("LABEL_1", "LABEL_0"),
}
"""Repository -> names of its classes, in its own order: the name counts, not the place."""
TOKENIZER = "models/google-bert/bert-base-uncased"


def write_classifiers(mirror_dir: Path) -> tuple[str, ...]:
    """The repositories that were written: two classifiers, and the tokenizer that the first one borrows."""
    from safetensors.numpy import save_file

    for name, labels in CLASSIFIERS.items():
        root = mirror_dir / name
        root.mkdir(parents=True)
        (root / "config.json").write_text(json.dumps(_configuration(labels), indent=2, sort_keys=True) + "\n")
        save_file(_weights(labels.index("LABEL_1")), root / "model.safetensors", metadata={"format": "pt"})
    for name in (TOKENIZER, "models/tomh/toxigen_roberta"):
        (mirror_dir / name).mkdir(parents=True, exist_ok=True)
        _write_tokenizer(mirror_dir / name)
    return (*CLASSIFIERS, TOKENIZER)


def _words() -> tuple[str, ...]:
    return (*SPECIAL, *FRIENDLY_WORDS, *HOSTILE_WORDS)


def _write_tokenizer(root: Path) -> None:
    (root / "vocab.txt").write_text("".join(f"{word}\n" for word in _words()))
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": POSITIONS}
    (root / "tokenizer_config.json").write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")


def _configuration(labels: tuple[str, ...]) -> dict[str, object]:
    return {
        "architectures": ["BertForSequenceClassification"],
        "hidden_act": "gelu",
        "hidden_size": HIDDEN,
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "intermediate_size": HIDDEN,
        "label2id": {label: index for index, label in enumerate(labels)},
        "max_position_embeddings": POSITIONS,
        "model_type": "bert",
        "num_attention_heads": 1,
        "num_hidden_layers": 1,
        "pad_token_id": 0,
        "type_vocab_size": 2,
        "vocab_size": len(_words()),
    }


def _weights(toxic: int) -> dict[str, Array]:
    """Tensor name -> values; ``toxic`` is the number of the class that hostile words speak for."""
    layer = "bert.encoder.layer.0"
    weights = {
        "bert.embeddings.word_embeddings.weight": _embeddings(),
        "bert.embeddings.position_embeddings.weight": _zeros(POSITIONS, HIDDEN),
        "bert.embeddings.token_type_embeddings.weight": _zeros(2, HIDDEN),
        **_norm("bert.embeddings.LayerNorm"),
        **_dense(f"{layer}.attention.self.query", 0),
        **_dense(f"{layer}.attention.self.key", 0),
        **_dense(f"{layer}.attention.self.value", 1),
        **_dense(f"{layer}.attention.output.dense", 1),
        **_norm(f"{layer}.attention.output.LayerNorm"),
        **_dense(f"{layer}.intermediate.dense", 0),
        **_dense(f"{layer}.output.dense", 0),
        **_norm(f"{layer}.output.LayerNorm"),
        **_dense("bert.pooler.dense", 1),
        "classifier.weight": _zeros(2, HIDDEN),
        "classifier.bias": np.full(2, 0.1, dtype=np.float32),
    }
    weights["classifier.weight"][toxic, :2] = (-1, 1)
    weights["classifier.bias"][toxic] = 0  # neither friendly nor hostile is not toxic
    return weights


def _embeddings() -> Array:
    found = _zeros(len(_words()), HIDDEN)
    for index, word in enumerate(_words()):
        sign = (word in FRIENDLY_WORDS) - (word in HOSTILE_WORDS)
        found[index, :2] = (sign, -sign)
    return found


def _dense(name: str, factor: float) -> dict[str, Array]:
    weight = (factor * np.eye(HIDDEN)).astype(np.float32)
    return {f"{name}.weight": weight, f"{name}.bias": _zeros(HIDDEN)}


def _norm(name: str) -> dict[str, Array]:
    return {f"{name}.weight": np.ones(HIDDEN, dtype=np.float32), f"{name}.bias": _zeros(HIDDEN)}


def _zeros(*shape: int) -> Array:
    return np.zeros(shape, dtype=np.float32)
