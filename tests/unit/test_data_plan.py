"""What a plan says of data that a mirror lacks."""

from dataclasses import replace
from pathlib import Path

import pytest

from a360.benchmarks import find_benchmark
from a360.datasets.mirror import MirrorFile, MirrorManifest, MirrorRepository, write_manifest
from a360.doctor import check_suite
from a360.plan import History, Unavailable, build_protocols, make_plan
from a360.records import Plan
from a360.results.collect import collect_results
from a360.storage import open_store
from tests.documents import make_discovery, make_suite

EMPTY = MirrorManifest(stand_in=False, repositories={})


def make(benchmarks: str, manifest: MirrorManifest = EMPTY) -> Plan:
    suite = make_suite(benchmarks)
    protocols = build_protocols(suite, manifest)
    return make_plan(suite, make_discovery(range(2)), protocols, History(), environments=["here"])


def test_missing_data_is_named_at_plan_time() -> None:
    assert build_protocols(make_suite("[boolq]"), EMPTY).unavailable == {
        "boolq": Unavailable(
            "missing", "data missing: the mirror has no data aps/super_glue/boolq; it has nothing"
        )
    }


def test_gated_data_that_is_missing_does_not_apply_and_names_the_token_that_it_needs() -> None:
    assert build_protocols(make_suite("[toxigen]"), EMPTY).unavailable == {
        "toxigen": Unavailable(
            "not applicable",
            "data missing: the mirror has no data skg/toxigen-data/annotated; it has nothing; "
            "gated: a360 data mirror needs a token in HF_TOKEN",
        )
    }


def test_a_sweep_is_whole_without_gated_data_and_not_without_other_data(tmp_path: Path) -> None:
    plan = make("[toxigen]")
    assert {cell.state for cell in plan.cells} == {"not applicable"}
    assert all("needs a token in HF_TOKEN" in str(cell.reason) for cell in plan.cells)
    assert plan.groups == ()
    store = open_store(str(tmp_path))
    assert collect_results(store, plan).is_complete()
    assert not collect_results(store, make("[toxigen, boolq]")).is_complete()


def test_gated_data_is_planned_as_soon_as_the_mirror_has_it() -> None:
    repository = MirrorRepository(
        revision="r", files={"annotated/test.parquet": MirrorFile(bytes=1, sha256="s")}
    )
    plan = make("[toxigen]", MirrorManifest(stand_in=False, repositories={"skg/toxigen-data": repository}))
    assert [cell.state for cell in plan.cells] == ["missing", "missing"]
    assert len(plan.groups) == 2


@pytest.mark.parametrize(("benchmarks", "state"), [("[toxigen]", "warn"), ("[toxigen, boolq]", "fail")])
def test_the_doctor_warns_of_gated_data_and_fails_for_other_data(
    tmp_path: Path, benchmarks: str, state: str
) -> None:
    (tmp_path / "mirror").mkdir()
    write_manifest(tmp_path / "mirror", EMPTY)
    checks = {check.name: check for check in check_suite(make_suite(benchmarks, base_dir=tmp_path))}
    assert checks["data"].state == state
    assert "HF_TOKEN" in checks["data"].found or state == "fail"


def test_rows_of_our_own_are_never_gated() -> None:
    assert not replace(find_benchmark("boolq"), gated=True).demo().gated
