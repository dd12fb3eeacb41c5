"""A checkpoint becomes a model as its protocol says, or a clear error."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from a360.errors import ConfigError, DataError
from a360.evaluators.harness import load_model
from a360.evaluators.journaled_lm import MeasuringHFLM
from tests.documents import make_protocol
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.integration
POSITIONS = 64


@pytest.fixture
def checkpoint_dir(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "step_1", seed=5, positions=POSITIONS)


def load(checkpoint_dir: Path, device: str = "cpu", **protocol: object) -> MeasuringHFLM:
    asked = make_protocol("demo-boolq", **protocol)
    return load_model(checkpoint_dir, asked, device=device, batch_size=2, threads=1)


def test_the_protocol_decides_length_beginning_and_type(checkpoint_dir: Path) -> None:
    plain = load(checkpoint_dir)
    asked = load(checkpoint_dir, max_length=32, add_bos_token=True, dtype="bfloat16")
    assert (plain.max_length, asked.max_length) == (POSITIONS, 32)
    assert (plain.model.dtype, asked.model.dtype) == (torch.float32, torch.bfloat16)
    assert asked.tok_encode("water") == [asked.tokenizer.bos_token_id, *plain.tok_encode("water")]


def test_softmax_can_be_wider_than_the_weights(checkpoint_dir: Path) -> None:
    request = [(("water", " iron"), [1, 2], [3])]
    narrow, wide = (
        load(checkpoint_dir, dtype="bfloat16", softmax_dtype=dtype)._loglikelihood_tokens(request)[0][0]
        for dtype in (None, "float32")
    )
    assert narrow == float(torch.tensor(narrow).bfloat16())
    assert wide != float(torch.tensor(wide).bfloat16())


@pytest.mark.parametrize(("visible", "device"), [(False, "cpu"), (True, "cuda")])
def test_auto_takes_an_accelerator_where_one_is_visible(
    visible: bool, device: str, checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def note(self: MeasuringHFLM, **options: object) -> None:
        asked.append(str(options["device"]))
        raise ValueError("enough")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: visible)
    monkeypatch.setattr(MeasuringHFLM, "__init__", note)
    with pytest.raises(DataError, match="enough"):
        load(checkpoint_dir, device="auto")
    assert asked == [device]


def test_an_accelerator_that_is_not_there_is_a_configuration_error(
    checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no CUDA device is visible"):
        load(checkpoint_dir, device="cuda")


def test_a_fault_of_the_device_is_not_blamed_on_the_checkpoint(
    checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(self: MeasuringHFLM, **options: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(MeasuringHFLM, "__init__", exhausted)
    with pytest.raises(torch.OutOfMemoryError):
        load(checkpoint_dir)


def test_weights_that_overflow_are_a_fault_of_the_checkpoint(checkpoint_dir: Path) -> None:
    path = checkpoint_dir / "model.safetensors"
    tensors = load_file(path)
    tensors["model.norm.weight"] = torch.full_like(tensors["model.norm.weight"], float("inf"))
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"NaN or infinite logits: step_1") as caught:
        load(checkpoint_dir)
    assert caught.value.exit_code == 3
    assert "diverged" in str(caught.value.hint)


def test_a_configuration_of_no_known_model_is_a_fault_of_the_checkpoint(checkpoint_dir: Path) -> None:
    (checkpoint_dir / "config.json").write_text('{"model_type": "nobody"}')
    with pytest.raises(DataError, match="checkpoint cannot be loaded: step_1") as caught:
        load(checkpoint_dir)
    assert "AutoModelForCausalLM" in str(caught.value.hint)


Tensors = dict[str, torch.Tensor]


def without_one(tensors: Tensors) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if name != "model.layers.1.mlp.down_proj.weight"}


def as_compiled(tensors: Tensors) -> Tensors:
    return {f"_orig_mod.{name}": tensor for name, tensor in tensors.items()}


def of_another_shape(tensors: Tensors) -> Tensors:
    return {**tensors, "model.norm.weight": tensors["model.norm.weight"][:-1].clone()}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (without_one, r"tensors 1 missing \(model.layers.1.mlp.down_proj.weight\)"),
        (as_compiled, r"missing .* without a place in the model \(_orig_mod"),
        (of_another_shape, "checkpoint cannot be loaded: step_1"),
    ],
)
def test_weights_that_do_not_cover_the_model_are_never_drawn_at_random(
    change: Callable[[Tensors], Tensors], fault: str, checkpoint_dir: Path
) -> None:
    path = checkpoint_dir / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})
    with pytest.raises(DataError, match=fault) as caught:
        load(checkpoint_dir)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(("layers", "fault"), [(3, "missing"), (1, "without a place in the model")])
def test_a_configuration_with_another_number_of_layers_is_refused(
    layers: int, fault: str, checkpoint_dir: Path
) -> None:
    path = checkpoint_dir / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_hidden_layers": layers}))
    with pytest.raises(DataError, match=f"weights are not those of the model.*{fault}"):
        load(checkpoint_dir)


def test_tables_that_older_checkpoints_store_are_no_fault(checkpoint_dir: Path) -> None:
    path = checkpoint_dir / "model.safetensors"
    old = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    save_file({**load_file(path), **old}, path, metadata={"format": "pt"})
    assert load(checkpoint_dir).model.config.num_hidden_layers == 2


class Command:
    """What a pickle may hold beside tensors: a function that is called when it is loaded."""

    def __reduce__(self) -> tuple[object, ...]:
        return print, ("executed",)


def test_pickled_weights_that_would_execute_something_are_refused_in_own_words(
    checkpoint_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = checkpoint_dir / "model.safetensors"
    torch.save({**load_file(path), "more": Command()}, checkpoint_dir / "pytorch_model.bin")
    path.unlink()
    with pytest.raises(DataError, match=r"step_1: its pickled weights .* more than tensors") as caught:
        load(checkpoint_dir)
    assert "weights_only" not in str(caught.value)
    assert "safetensors" in str(caught.value.hint)
    assert "executed" not in capsys.readouterr().out
