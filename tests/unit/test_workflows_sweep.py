"""A sweep and its children: what fans out, what a child is called, and values that YAML would bend."""

import hashlib
import json
from typing import Any

import pytest
import yaml

from tests.rendered import DEFAULT, FULL, Document, documents, substitute, template
from workflows.checkpoint import checkpoint_name, groups_where
from workflows.settings import Schedule, Schedules, Settings
from workflows.sweep import child_manifest

HOSTILE = [
    "012",
    "1e3",
    "yes",
    "~",
    "a: b",
    "s3://b/plan: '\"x\"' #1",
    'it\'s "quoted"',
    "two\nlines",
    "back\\slash\ttab",
    "- item",
    "{a: [1]}",
    "<&>",
    "é 中",
    "",
]
PLAIN = {
    "suite": "amber",
    "plan": "0123456789abcdef",
    "checkpoint": "ckpt_012",
    "groups": "0:0",
    "benchmarks": "race:none",
}


def child(settings: Settings = DEFAULT, priority: str = "0", **values: str) -> Document:
    """The child workflow that Argo would apply."""
    values = PLAIN | values
    scope = {
        "workflow.name": "a360-amber-1700000000",
        "workflow.parameters.suite": values["suite"],
        "workflow.outputs.parameters.benchmarks": values["benchmarks"],
        "workflow.parameters.priority": priority,
        "workflow.parameters.checkpoint-template": "a360-checkpoint-0-1-0-0123abcd",
        "inputs.parameters.child": "a360-amber-1700000000-ckpt-012-89abcdef",
        "inputs.parameters.plan": values["plan"],
        # Item.String of argo-workflows 4.0.2: the escapes of JSON without its quotes.
        **{
            f"inputs.parameters.{name}": json.dumps(values[name], ensure_ascii=False)[1:-1]
            for name in ("checkpoint", "groups")
        },
    }
    document: Document = yaml.safe_load(substitute(child_manifest(settings), scope))
    return document


def arguments(document: Document) -> dict[str, Any]:
    return {p["name"]: p["value"] for p in document["spec"]["arguments"]["parameters"]}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_reach_the_child_unchanged(name: str, value: str) -> None:
    document = child(DEFAULT, "0", **{name: value})
    assert arguments(document) == PLAIN | {"sweep": "a360-amber-1700000000"} | {name: value}
    if name in ("checkpoint", "plan"):
        assert document["metadata"]["annotations"][f"a360/{name}"] == value


def test_a_value_without_json_would_be_bent() -> None:
    """The reason for ``toJson``: this is what the plain tag gives."""
    bare = child_manifest(Settings()).replace(
        "{{=toJson(inputs.parameters.plan)}}", "{{inputs.parameters.plan}}"
    )
    scope = {f"inputs.parameters.{name}": "012" for name in ("plan", "checkpoint", "groups", "child")}
    scope |= {f"workflow.parameters.{name}": "1" for name in ("suite", "priority", "checkpoint-template")}
    scope |= {"workflow.outputs.parameters.benchmarks": "race:none"}
    assert arguments(yaml.safe_load(substitute(bare, scope | {"workflow.name": "w"})))["plan"] == 10


def test_a_child_says_whose_it_is() -> None:
    metadata = child()["metadata"]
    assert metadata["name"] == "a360-amber-1700000000-ckpt-012-89abcdef"
    assert metadata["labels"] == {
        "app.kubernetes.io/name": "a360",
        "app.kubernetes.io/component": "checkpoint",
        "app.kubernetes.io/part-of": "a360",
        "a360/suite": "amber",
        "a360/sweep": "a360-amber-1700000000",
        "a360/checkpoint-hash": "89abcdef",
    }


def test_own_labels_stay_strings_on_a_child() -> None:
    labels = child(FULL)["metadata"]["labels"]
    assert (labels["team"], labels["cost"]) == ("evals", "012")
    hijack = DEFAULT.model_copy(update={"labels": {"app.kubernetes.io/name": "other"}})
    assert child(hijack)["metadata"]["labels"]["app.kubernetes.io/name"] == "a360"


def test_a_child_comes_from_the_template_that_the_sweep_started_with() -> None:
    assert child()["spec"]["workflowTemplateRef"] == {"name": "a360-checkpoint-0-1-0-0123abcd"}
    defaults = {p["name"]: p.get("value") for p in documents()["sweep"]["spec"]["arguments"]["parameters"]}
    assert defaults == {
        "suite": None,
        "retry-failed": "false",
        "priority": "0",
        "checkpoint-template": documents()["checkpoint"]["metadata"]["name"],
    }


def test_priority_is_a_number() -> None:
    assert child(priority="7")["spec"]["priority"] == 7


def test_a_child_is_applied_under_its_own_name_and_owned_by_the_sweep() -> None:
    resource = template("sweep", "run-checkpoint")["resource"]
    assert resource["action"] == "apply"
    assert resource["setOwnerReference"] is True
    assert "generateName" not in resource["manifest"]
    assert resource["successCondition"] == "status.phase == Succeeded"
    assert resource["failureCondition"] == "status.phase in (Failed, Error)"


def test_the_parameters_of_a_child_are_those_of_the_template() -> None:
    declared = documents()["checkpoint"]["spec"]["arguments"]["parameters"]
    assert {p["name"] for p in declared} == set(arguments(child()))
    assert [p for p in declared if "value" in p] == [{"name": "sweep", "value": "none"}]


def test_the_init_container_of_a_waiting_pod_can_write_the_manifest() -> None:
    patch = yaml.safe_load(template("sweep", "run-checkpoint")["podSpecPatch"])
    (init,) = patch["initContainers"]
    assert init["name"] == "init"
    assert init["volumeMounts"] == [{"name": "tmp-dir-argo", "mountPath": "/tmp", "subPath": "init"}]


def test_a_waiting_pod_may_wait_longer_than_its_child_may_run() -> None:
    waits = template("sweep", "run-checkpoint")["activeDeadlineSeconds"]
    assert waits > documents()["checkpoint"]["spec"]["activeDeadlineSeconds"]


def test_the_sweep_plans_then_fans_out_over_the_file_of_the_plan() -> None:
    (plan,), (checkpoint,) = template("sweep", "sweep")["steps"]
    assert (plan["template"], checkpoint["template"]) == ("plan", "run-checkpoint")
    assert checkpoint["withParam"] == "{{steps.plan.outputs.parameters.checkpoints}}"
    assert {p["name"]: p["value"] for p in checkpoint["arguments"]["parameters"]} == {
        "plan": "{{steps.plan.outputs.parameters.plan}}",
        "child": "{{item.child}}",
        "checkpoint": "{{item.checkpoint}}",
        "groups": "{{item.groups}}",
    }
    outputs = {o["name"]: o["valueFrom"]["path"] for o in template("sweep", "plan")["outputs"]["parameters"]}
    given = dict(a.split("=", 1) for a in template("sweep", "plan")["container"]["args"])
    assert outputs == {
        "plan": given["--plan-id-file"],
        "benchmarks": given["--benchmarks-file"],
        "checkpoints": given["--checkpoints-file"],
    }


def test_nodes_do_not_repeat_the_names_of_benchmarks() -> None:
    """A sweep's object has two nodes for each checkpoint, with all of their inputs."""
    outputs = template("sweep", "plan")["outputs"]["parameters"]
    assert [o["name"] for o in outputs if o.get("globalName") == o["name"]] == ["benchmarks"]
    inputs = template("sweep", "run-checkpoint")["inputs"]["parameters"]
    assert [o["name"] for o in inputs] == ["plan", "child", "checkpoint", "groups"]


# --- a checkpoint's groups --------------------------------------------------------------------------


def test_what_is_generated_already_is_only_graded() -> None:
    (evaluate,), graders = template("checkpoint", "graded")["steps"]
    assert evaluate["when"] == "{{inputs.parameters.generated}} == no"
    assert not any("generated" in grader["when"] for grader in graders)


def test_groups_are_split_by_argo_itself() -> None:
    """This text gave the right lists in argo-workflows 4.0.2's own util/template."""
    rows = 'map(split(workflow.parameters.benchmarks, ","), split(#, ":"))'
    positions = 'split(trimSuffix(#, "*"), "+")'
    assert groups_where('== "none"') == (
        '{{=toJson(filter(map(split(split(workflow.parameters.groups, ":")[1], ","), '
        '{ {"group": string(int(split(workflow.parameters.groups, ":")[0]) + #index), '
        f'"benchmarks": join(map({positions}, {rows}[int(#)][0]), "+"), '
        f'"grade": {rows}[int({positions}[0])][1], '
        '"generated": hasSuffix(#, "*") ? "yes" : "no"} } ), #.grade == "none"))}}'
    )
    assert groups_where("x").count("}}") == groups_where("x").count("{{") == 1


def test_groups_without_grading_are_one_pod_and_the_others_a_chain() -> None:
    ((plain, graded),) = template("checkpoint", "checkpoint")["steps"]
    assert (plain["template"], plain["withParam"]) == ("evaluate", groups_where('== "none"'))
    assert (graded["template"], graded["withParam"]) == ("graded", groups_where('!= "none"'))
    evaluate, grades = template("checkpoint", "graded")["steps"]
    assert [step["template"] for step in evaluate] == ["evaluate"]
    assert {step["template"]: step["when"] for step in grades} == {
        f"grade-{kind}": f"{{{{inputs.parameters.grade}}}} == {kind}"
        for kind in ("code", "classifier", "judge")
    }


# --- names ------------------------------------------------------------------------------------------


def test_the_name_of_the_checkpoint_template_carries_version_and_hash() -> None:
    name = documents("full")["checkpoint"]["metadata"]["name"]
    assert name.startswith("a360-checkpoint-1-2-3-rc-1-")
    assert name == checkpoint_name("1.2.3-rc.1", documents("full")["checkpoint"]["spec"])
    assert len(name) <= 63


def test_any_change_of_the_spec_changes_the_name() -> None:
    names = {
        documents(variant)["checkpoint"]["metadata"]["name"][-8:] for variant in ("default", "full", "lean")
    }
    assert len(names) == 3


def test_the_hash_is_that_of_helms_to_json() -> None:
    """Go sorts keys, writes no spaces, keeps é and escapes the three characters of HTML."""
    text = '{"a":{"n":1,"z":"é \\u003c\\u0026\\u003e"},"b":["x"]}'
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    assert (
        checkpoint_name("0.1.0", {"b": ["x"], "a": {"z": "é <&>", "n": 1}})
        == f"a360-checkpoint-0-1-0-{digest}"
    )


def test_specs_hold_no_floats_because_readers_write_them_differently() -> None:
    def refuse(text: str) -> float:
        raise AssertionError(f"a float: {text}")

    json.loads(json.dumps(documents("full")), parse_float=refuse)


@pytest.mark.parametrize("variant", ["default", "full"])
def test_sweeps_of_schedules_and_files_leave_room_for_their_children(variant: str) -> None:
    """40 characters for a sweep: a child adds 22, and 63 is what Argo allows."""
    for document in documents(variant).values():
        metadata = document["metadata"]
        if document["kind"] == "CronWorkflow" and document["metadata"]["name"].startswith("a360-publish"):
            assert len(metadata["name"]) <= 52
        elif document["kind"] == "CronWorkflow":
            assert len(f"{metadata['name']}-1700000000") <= 40
        elif document["kind"] == "Workflow":
            assert len(f"{metadata['generateName']}xxxxx") <= 40


def test_a_suite_with_too_long_a_name_gets_no_schedule() -> None:
    longest = "s" * 24
    assert len(f"a360-{longest}-1700000000") <= 40
    Settings(schedules=Schedules(suites=(Schedule(suite=longest),)))
    with pytest.raises(ValueError, match="suite"):
        Schedule(suite=f"{longest}s")


# --- schedules and files for argo submit ------------------------------------------------------------


def test_schedules_forbid_two_at_a_time_and_refer_to_the_templates() -> None:
    for name, target in (("cron-demo", "a360-sweep"), ("cron-publish-demo", "a360-publish")):
        spec = documents()[name]["spec"]
        assert spec["concurrencyPolicy"] == "Forbid"
        assert spec["timezone"] == "Etc/UTC"
        assert spec["startingDeadlineSeconds"] == 3600
        assert spec["workflowSpec"] == {
            "workflowTemplateRef": {"name": target},
            "arguments": {"parameters": [{"name": "suite", "value": "demo"}]},
        }


def test_a_schedule_without_times_is_left_out() -> None:
    assert [s.suite for s in FULL.schedules.suites if not s.publish] == ["amber"]
    crons = {name for name, d in documents("full").items() if d["kind"] == "CronWorkflow"}
    assert crons == {"cron-amber", "cron-crystal", "cron-publish-crystal"}


def test_files_to_submit_hold_a_reference_and_the_suite() -> None:
    files = {name: d["spec"] for name, d in documents().items() if d["kind"] == "Workflow"}
    assert set(files) == {
        *(f"sweep-{suite}" for suite in ("demo", "amber", "crystalcoder", "pythia")),
        "publish-demo",
        "mirror-demo",
    }
    for name, spec in files.items():
        template_name, _, suite = name.partition("-")
        assert spec == {
            "workflowTemplateRef": {"name": f"a360-{template_name}"},
            "arguments": {"parameters": [{"name": "suite", "value": suite}]},
        }
