"""The 22 subsets of the Pile, as its rows spell them, and the 18 that LLM360 may have averaged.

Source: ``meta.pile_set_name`` of the data set's rows, https://pile.eleuther.ai.
"""

from a360.benchmarks.texts import GroupSubset

SUBSETS: tuple[str, ...] = (
    "ArXiv",
    "BookCorpus2",
    "Books3",
    "DM Mathematics",
    "Enron Emails",
    "EuroParl",
    "FreeLaw",
    "Github",
    "Gutenberg (PG-19)",
    "HackerNews",
    "NIH ExPorter",
    "OpenSubtitles",
    "OpenWebText2",
    "PhilPapers",
    "Pile-CC",
    "PubMed Abstracts",
    "PubMed Central",
    "StackExchange",
    "USPTO Backgrounds",
    "Ubuntu IRC",
    "Wikipedia (en)",
    "YoutubeSubtitles",
)

LEFT_OUT = ("BookCorpus2", "Books3", "OpenSubtitles", "YoutubeSubtitles")

ASSUMED_18 = GroupSubset(
    label="assumed-18", groups=tuple(subset for subset in SUBSETS if subset not in LEFT_OUT)
)
"""LLM360's code averages whatever subsets its file holds and names none; its curve has 18.

Assumed to be those that stay when the four with copyright claims are removed, hence the label.
"""
