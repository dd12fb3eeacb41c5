"""Every choice that a cluster may make about a360's workflows: one frozen record, validated whole.

The defaults are what the Helm chart ships; its values change the same places in the rendered YAML.
Quantities are Kubernetes' own notation.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from a360.records import Record

Label = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$")]
SuiteName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?$")]
"""Short enough that ``a360-<suite>-<unix time>`` leaves room for the names of a sweep's children."""
ImageName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9./:_-]*(@sha256:[0-9a-f]{64}|:[A-Za-z0-9._-]+)$")]
Cpu = Annotated[str, Field(pattern=r"^([1-9][0-9]*m?|0\.[0-9]+)$")]
Memory = Annotated[str, Field(pattern=r"^[1-9][0-9]*(Mi|Gi)$")]
Seconds = Annotated[int, Field(ge=1)]
Cron = Annotated[str, Field(pattern=r"^\S+( \S+){4}$")]

_NO_DIGEST = "@sha256:" + "0" * 64


class Images(Record):
    """The three images, pinned by digest; a tag is for tests."""

    evaluator: ImageName = f"registry.example.com/a360/evaluator{_NO_DIGEST}"
    light: ImageName = f"registry.example.com/a360/light{_NO_DIGEST}"
    sandbox: ImageName = f"registry.example.com/a360/sandbox{_NO_DIGEST}"
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    pull_secrets: tuple[Name, ...] = ()


class SecretEnv(Record):
    """An environment variable that a key of a Secret fills."""

    env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
    secret: Name
    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
    optional: bool = False


class Secrets(Record):
    """Which pods get which credentials. None stands for workload identity, or for no access."""

    s3: tuple[SecretEnv, ...] = tuple(
        SecretEnv(env=key, secret="a360-s3", key=key)
        for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    )
    """Every pod but the sandbox; empty for workload identity. AWS_SESSION_TOKEN goes here too."""
    wandb: SecretEnv | None = SecretEnv(
        env="WANDB_API_KEY", secret="a360-wandb", key="WANDB_API_KEY", optional=True
    )
    """Publish pods only; without it they write offline runs."""
    judge: SecretEnv | None = SecretEnv(
        env="A360_JUDGE_API_KEY", secret="a360-judge", key="api-key", optional=True
    )
    """grade-judge pods only, and only suites with a judge need it."""
    hub: SecretEnv | None = SecretEnv(env="HF_TOKEN", secret="a360-hub", key="HF_TOKEN", optional=True)
    """Mirror pods only."""


class Accounts(Record):
    """The service accounts; no main container but the orchestrator's holds a token."""

    orchestrator: Name = "a360-orchestrator"
    executor: Name = "a360-executor"
    """Argo's own containers; its token is in the Secret ``<name>.service-account-token``."""
    planner: Name = "a360-planner"
    evaluator: Name = "a360-evaluator"
    grader: Name = "a360-grader"
    sandbox: Name = "a360-executor"
    """Must have no cloud identity: such an identity reaches every container of a pod."""
    publisher: Name = "a360-publisher"
    mirror: Name = "a360-planner"


class Toleration(Record):
    """A taint that pods may ignore."""

    key: str | None = None
    operator: Literal["Exists", "Equal"] = "Exists"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


class Placement(Record):
    """Where one kind of pod runs, and for how long it may work."""

    deadline_seconds: Seconds
    """Of one attempt, waiting for a node not included. An attempt that ends here is not repeated."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    priority_class: Name | None = None
    runtime_class: Name | None = None
    """gVisor or the like, mostly for the sandbox."""


class PodKind(Placement):
    """What one kind of pod asks for beside its place."""

    cpu: Cpu
    memory: Memory
    """Requested and the limit; grown after the pod ran out of it."""
    scratch: Memory = "10Gi"
    """Size limit of the work volume, where HOME, TMPDIR and everything else that is written lie."""


class Pods(Record):
    """One row per kind of pod."""

    plan: PodKind = PodKind(cpu="500m", memory="2Gi", deadline_seconds=7200)
    evaluate: PodKind = PodKind(cpu="8", memory="64Gi", scratch="200Gi", deadline_seconds=14400)
    transfer: PodKind = PodKind(cpu="500m", memory="2Gi", deadline_seconds=3600)
    """The fetching and committing ends of grade-code."""
    sandbox: PodKind = PodKind(cpu="2", memory="4Gi", deadline_seconds=14400)
    classifier: PodKind = PodKind(cpu="4", memory="16Gi", deadline_seconds=14400)
    judge: PodKind = PodKind(cpu="500m", memory="2Gi", deadline_seconds=14400)
    publish: PodKind = PodKind(cpu="1", memory="8Gi", deadline_seconds=7200)
    mirror: PodKind = PodKind(cpu="1", memory="4Gi", scratch="100Gi", deadline_seconds=86400)
    orchestrate: Placement = Placement(deadline_seconds=259200)
    """Waits for one checkpoint's workflow, so it must be allowed longer than that; Argo's container only."""
    executor_cpu: Cpu = "10m"
    executor_memory: Memory = "256Mi"
    """Of each of Argo's own containers."""
    grace_seconds: Seconds = 120
    """From SIGTERM to SIGKILL: time to write the journal's last slice."""


class Accelerator(Record):
    """The device of evaluate pods, and how they get one."""

    resource: Annotated[str, Field(pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$")] = "nvidia.com/gpu"
    count: Annotated[int, Field(ge=0)] = 1
    """0 evaluates on the CPU."""
    shared_memory: Memory = "8Gi"
    """Counts against the pod's memory."""
    queue: Label | None = None
    """Kueue's LocalQueue. The label is on these pods only: elsewhere it would gate orchestration."""


class Cache(Record):
    """Where evaluate pods keep weights for the next pod: a claim may be shared or a local volume's."""

    kind: Literal["none", "emptyDir", "claim"] = "none"
    claim: Name | None = None
    size: Memory | None = None
    """Size limit of the emptyDir; the suite's ``run.cache_gib`` bounds what is kept."""

    @model_validator(mode="after")
    def _claim_is_named(self) -> Self:
        if (self.kind == "claim") != (self.claim is not None):
            raise ValueError("cache: 'claim' is the name of a PersistentVolumeClaim, with kind 'claim' only")
        return self


class Retry(Record):
    """How often and how fast something is tried again; causes are told apart in ``retry.py``."""

    limit: Annotated[int, Field(ge=0)]
    """Of all causes together."""
    first_seconds: Seconds = 30
    factor: Annotated[int, Field(ge=1)] = 2
    cap_seconds: Seconds = 600


class Retries(Record):
    """Retries of pods that work, and of the pods that wait for a child."""

    pods: Retry = Retry(limit=20)
    children: Retry = Retry(limit=10)
    oom: Annotated[int, Field(ge=0, le=5)] = 2
    """Retries after a kill for memory, each with more of it."""
    oom_growth_percent: Annotated[int, Field(ge=100)] = 150


class Lifetimes(Record):
    """When workflows end at the latest, and how long they are kept."""

    sweep_seconds: Seconds | None = None
    checkpoint_seconds: Seconds = 172800
    after_success_seconds: Seconds = 86400
    after_failure_seconds: Seconds = 604800
    pod_gc: Literal["OnPodCompletion", "OnPodSuccess", "OnWorkflowCompletion", "OnWorkflowSuccess"] = (
        "OnPodSuccess"
    )
    pod_gc_delay: Annotated[str, Field(pattern=r"^[0-9]+[smh]$")] = "60s"


class Schedule(Record):
    """One suite's times; an empty list leaves that CronWorkflow out."""

    suite: SuiteName
    sweep: tuple[Cron, ...] = ("17 3 * * *",)
    publish: tuple[Cron, ...] = ("47 * * * *",)
    suspend: bool = False


class Schedules(Record):
    """What runs by itself."""

    suites: tuple[Schedule, ...] = (Schedule(suite="demo"),)
    time_zone: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+/-]+$")] = "Etc/UTC"
    starting_deadline_seconds: Seconds = 3600
    history: Annotated[int, Field(ge=0)] = 3


class Artifacts(Record):
    """The ConfigMap that says where generations and verdicts of generated code pass through."""

    config_map: Name = "a360-artifacts"
    key: Name = "a360"


class Settings(Record):
    """Everything that the rendered workflows depend on."""

    version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+([.-][a-z0-9.-]+)?$")] = "0.1.0"
    """The chart's; part of the checkpoint template's name."""
    images: Images = Images()
    secrets: Secrets = Secrets()
    accounts: Accounts = Accounts()
    pods: Pods = Pods()
    accelerator: Accelerator = Accelerator()
    cache: Cache = Cache()
    retries: Retries = Retries()
    lifetimes: Lifetimes = Lifetimes()
    schedules: Schedules = Schedules()
    artifacts: Artifacts | None = Artifacts()
    """None leaves it to the controller's default repository."""
    parallelism: Annotated[int, Field(ge=1)] = 16
    """Checkpoints of a sweep at a time."""
    user_id: Annotated[int, Field(ge=1)] = 10001
    suites_config_map: Name = "a360-suites"
    progress: Annotated[str, Field(pattern=r"^[0-9]+/[1-9][0-9]*$")] = "0/100"
    """What an evaluate pod counts for before it has reported."""
    metrics: bool = True
    labels: dict[str, Label] = Field(default_factory=dict)
    """On every workflow and pod, beside a360's own."""

    @model_validator(mode="after")
    def _orchestrator_outlives_children(self) -> Self:
        if self.pods.orchestrate.deadline_seconds <= self.lifetimes.checkpoint_seconds:
            raise ValueError("pods.orchestrate.deadline_seconds must exceed lifetimes.checkpoint_seconds")
        return self
