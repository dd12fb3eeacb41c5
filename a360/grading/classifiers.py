"""Classifiers of a mirror that judge texts: loaded from local files, their classes taken by name.

A configuration whose classes have other names than the catalogue says is refused: which of them is the wanted
one would be a guess. Texts longer than the classifier can read are cut on the right, and counted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from a360.benchmarks import Classifier
from a360.errors import DataError

BATCH = 64
LONGEST = 512
"""Tokens that BERT and RoBERTa read; RoBERTa's configuration says two more."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Whether each text is of the wanted class, and how many were cut."""

    wanted: tuple[bool, ...]
    cut: int


class LoadedClassifier:
    """A classifier in memory, on the GPU where there is one, in float32.

    Raises:
        DataError: it cannot be loaded, or its classes have other names.
    """

    def __init__(self, mirror_dir: Path, classifier: Classifier) -> None:
        model_dir, tokenizer_dir = mirror_dir / classifier.model, mirror_dir / classifier.tokenizer
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(tokenizer_dir, local_files_only=True)
            model = AutoModelForSequenceClassification.from_pretrained(
                model_dir, local_files_only=True, dtype=torch.float32
            )
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"classifier cannot be loaded: {classifier.model}: {str(error).splitlines()[0]}",
                hint="Mirror it again: a360 data mirror.",
            ) from None
        names = [str(model.config.id2label[index]) for index in range(model.config.num_labels)]
        if sorted(names) != sorted(classifier.labels):
            raise DataError(
                f"classifier has other classes: {classifier.model}: found {', '.join(names)}, "
                f"expected {', '.join(classifier.labels)}",
                hint="Is it the classifier that the catalogue names, at the right revision?",
            )
        self._wanted = names.index(classifier.wanted)
        self._model = model.eval().to(self._device)
        positions = int(model.config.max_position_embeddings)
        self._longest = min(LONGEST, positions, int(self._tokenizer.model_max_length))

    def judge(self, texts: Sequence[str], on_progress: Callable[[int, int], None]) -> Judged:
        """The judgments of texts, in their order; those of similar length are asked together."""
        order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
        wanted, cut = [False] * len(texts), 0
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            chosen = [texts[index] for index in batch]
            whole = self._tokenizer(chosen, verbose=False)["input_ids"]
            cut += sum(len(ids) > self._longest for ids in whole)
            encoded = self._tokenizer(
                chosen, padding=True, truncation=True, max_length=self._longest, return_tensors="pt"
            )
            with torch.inference_mode():
                logits_BC = self._model(**encoded.to(self._device)).logits
            for index, label in zip(batch, logits_BC.argmax(-1).tolist(), strict=True):
                wanted[index] = label == self._wanted
            on_progress(start + len(batch), len(texts))
        return Judged(wanted=tuple(wanted), cut=cut)
