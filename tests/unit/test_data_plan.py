"""What a plan says of data that a mirror lacks."""

from dataclasses import replace

import pytest

from a360.benchmarks import CATALOGUE, find_benchmark
from a360.datasets.mirror import MirrorManifest
from a360.plan import build_protocols
from tests.documents import make_suite

EMPTY = MirrorManifest(stand_in=False, repositories={})


def test_missing_data_is_named_at_plan_time() -> None:
    assert build_protocols(make_suite("[boolq]"), EMPTY).unavailable == {
        "boolq": "data missing: the mirror has no data aps/super_glue/boolq; it has nothing"
    }


def test_gated_data_is_named_with_the_token_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CATALOGUE, "boolq", replace(find_benchmark("boolq"), gated=True))
    assert (
        build_protocols(make_suite("[boolq]"), EMPTY)
        .unavailable["boolq"]
        .endswith("it has nothing; gated: a360 data mirror needs a token in HF_TOKEN")
    )


def test_rows_of_our_own_are_never_gated() -> None:
    assert not replace(find_benchmark("boolq"), gated=True).demo().gated
