"""Programs -> verdicts. Called where there is neither a store nor a credential."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from a360.errors import TransientError
from a360.grading.sandbox.documents import Limits, Program, Programs, Verdict, Verdicts
from a360.grading.sandbox.job import Job
from a360.grading.sandbox.lockdown import MIB
from a360.grading.sandbox.selftest import attest
from a360.identity import hash_value

_START = Path(__file__).with_name("start.py")
_GRACE_SECONDS = 180.0
"""A supervisor bounds itself; this is for one that does not."""


def judge_programs(
    programs: Programs,
    *,
    workers: int | None = None,
    outer_layer: bool = True,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Verdicts:
    """A verdict on every program, in their order.

    Args:
        programs: What is judged, and its limits.
        workers: Programs at a time; as many as the process has CPUs by default.
        outer_layer: Also bubblewrap, where it is there and works.
        on_progress: Gets (programs judged, programs).

    Raises:
        ConfigError: the sandbox does not hold here, and the document does not allow a weak one.
        TransientError: a program could not be started, which says nothing about it.
    """
    with tempfile.TemporaryDirectory(prefix="a360-sandbox-") as scratch:
        attestation, template = attest(scratch, programs.allow_weak_sandbox, outer_layer, run_job)
        template = _limited(template, programs.limits)
        count = workers or len(os.sched_getaffinity(0))
        verdicts: list[Verdict] = []
        with ThreadPoolExecutor(max_workers=max(1, count)) as pool:
            try:
                for verdict in pool.map(lambda program: judge_program(template, program), programs.programs):
                    verdicts.append(verdict)
                    on_progress(len(verdicts), len(programs.programs))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return Verdicts(programs_hash=hash_value(programs), attestation=attestation, verdicts=tuple(verdicts))


def judge_program(template: Job, program: Program) -> Verdict:
    """The verdict on one program, with the limits of a job.

    Raises:
        TransientError: it could not be started.
    """
    outcome = run_job(replace(template, program=program.model_dump(mode="json")))
    if "error" in outcome:
        raise TransientError(
            f"sandbox did not start program {program.id}: {outcome['error']}",
            hint="The machine may be out of memory or processes; grade again.",
        )
    return Verdict.model_validate({"id": program.id, **{k: outcome[k] for k in ("verdict", "detail")}})


def run_job(job: Job) -> dict[str, str]:
    """What a supervisor says of a job: ``verdict`` and ``detail``, or ``error`` where nothing was judged."""
    command = [sys.executable, "-I", "-S", "-B", "-X", "utf8", str(_START), "supervisor"]
    try:
        done = subprocess.run(
            command,
            input=job.to_json().encode(),
            capture_output=True,
            env={},
            start_new_session=True,
            timeout=job.timeout_seconds + _GRACE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"error": f"{type(error).__name__}: {error}"[:200]}
    if done.returncode != 0:
        return {"error": f"supervisor ended with {done.returncode}: {done.stderr.decode()[-500:]}"}
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _limited(job: Job, limits: Limits) -> Job:
    return replace(
        job,
        timeout_seconds=limits.timeout_seconds,
        memory_bytes=limits.memory_mib * MIB,
        disk_bytes=limits.disk_mib * MIB,
        output_bytes=limits.output_kib * 1024,
    )
