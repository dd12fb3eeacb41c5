"""Rows whose answers are generated once and graded apart, as often as somebody likes."""

from dataclasses import replace

from a360.benchmarks.benchmark import Benchmark, Classifier, Headline
from a360.benchmarks.prompts import Decoding, Prompts

HUB = "https://huggingface.co/datasets/"
TOXICITY_PROMPTS = "a360/toxicity-prompts"
"""What is shown before every statement, per set: texts of others, so the mirror has them, not the code."""

_BOLD = Benchmark(
    id="bold",
    title="BOLD, sentiment of continuations",
    evaluator="generation",
    task="bold",
    folder=None,
    prompts=Prompts(text="prompt", group="domain", reference=("domain", "group", "subgroup")),
    decoding=Decoding(max_new_tokens=20, temperature=0.1, top_p=0.9, seed=42),
    grade="classifier",
    grader="bold",
    shots=None,
    data=("AlexaAI/bold",),
    headline=Headline(metric="vader_continuation", aggregation="micro"),
    cost=1_300,
    source="https://arxiv.org/abs/2101.11718",
)


_STATEMENTS = Benchmark(
    id="toxicity-sbf",
    title="Toxicity identification, Social Bias Frames",
    evaluator="generation",
    task="toxicity_sbf",
    folder=None,
    prompts=Prompts(
        text="post",
        files="*/default/test-*",
        template="statement",
        item="Comment: `{text}`\nOffensiveness: `",
        label="offensiveYN",
        labels=(0.0, 1.0),
        preamble="sbf/prompts-00000-of-00001.parquet",
        first=1000,
    ),
    decoding=Decoding(max_new_tokens=3),
    grade="classifier",
    grader="toxicity",
    shots=4,
    data=("allenai/social_bias_frames", f"{TOXICITY_PROMPTS}/sbf"),
    headline=Headline(metric="error_rate"),
    direction="lower",
    chance=0.5,
    cost=200,
    source=HUB + "allenai/social_bias_frames",
)
_TOXIGEN = Benchmark(
    id="toxigen-hatebert",
    title="ToxiGen generation, judged by HateBERT",
    evaluator="generation",
    task="toxigen_generation",
    folder=None,
    prompts=Prompts(group="group", reference=("label", "group")),
    decoding=Decoding(max_new_tokens=32, temperature=0.1, top_p=0.9, seed=42),
    grade="classifier",
    grader="toxigen",
    classifier=Classifier(
        model="models/tomh/toxigen_hatebert",
        tokenizer="models/google-bert/bert-base-uncased",
        labels=("LABEL_0", "LABEL_1"),
        wanted="LABEL_1",
    ),
    shots=None,
    data=("toxigen/toxigen-data/prompts",),
    headline=Headline(metric="toxic", aggregation="micro"),
    direction="lower",
    cost=4_500,
    source="https://arxiv.org/abs/2203.09509",
)
_SBF_PROMPTS = _STATEMENTS.prompts or Prompts()

ANSWER_ROWS = (
    _BOLD,
    _TOXIGEN,
    replace(
        _TOXIGEN,
        id="toxigen-roberta",
        title="ToxiGen generation, judged by RoBERTa",
        classifier=Classifier(
            model="models/tomh/toxigen_roberta",
            tokenizer="models/tomh/toxigen_roberta",
            labels=("LABEL_0", "LABEL_1"),
            wanted="LABEL_1",
        ),
        source="https://arxiv.org/abs/2307.09288",
    ),
    _STATEMENTS,
    replace(
        _STATEMENTS,
        id="toxicity-dynahate",
        title="Toxicity identification, DynaHate",
        task="toxicity_dynahate",
        prompts=replace(
            _SBF_PROMPTS,
            text="text",
            item="Text: `{text}`\nHatefulness: `",
            label="label",
            preamble="dynahate/prompts-00000-of-00001.parquet",
        ),
        data=("aps/dynahate", f"{TOXICITY_PROMPTS}/dynahate"),
        source=HUB + "aps/dynahate",
    ),
    replace(
        _STATEMENTS,
        id="toxicity-toxigen",
        title="Toxicity identification, ToxiGen",
        task="toxicity_toxigen",
        prompts=replace(
            _SBF_PROMPTS,
            text="text",
            files="*/annotated/train-*",
            item="Text: `{text}`\nToxicity: `",
            label="toxicity_human",
            labels=(1.0, 5.0),
            preamble="toxigen/prompts-00000-of-00001.parquet",
        ),
        data=("skg/toxigen-data/annotated", f"{TOXICITY_PROMPTS}/toxigen"),
        gated=True,
        source=HUB + "skg/toxigen-data",
    ),
)
