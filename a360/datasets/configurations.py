"""Why a folder of a repository can be loaded without the others: an index in front of the hub's own README.

``datasets`` resolves the files of the *first* configuration that README.md names, whichever is asked for,
and fails where a mirror has only a later one. A file ``.huggingface.yaml`` overrides the front matter's list:
here it is the README's own list behind one configuration that matches whatever is there. The README keeps
the hub's bytes, and the index is a function of it alone, so that a folder's data revision does not depend
on which other folders the mirror has.
"""

import yaml

MATCHING = "a360-mirrored"
"""The configuration that matches every data file of a mirrored repository."""


def index_configurations(readme: bytes) -> bytes | None:
    """The text of ``.huggingface.yaml`` for a README; None where its first configuration is the only one."""
    configurations = read_configurations(readme)
    if len(configurations) < 2:
        return None
    everything = {"config_name": MATCHING, "data_files": "**"}
    text = yaml.safe_dump({"configs": [everything, *configurations]}, sort_keys=False, allow_unicode=True)
    return text.encode()


def read_configurations(readme: bytes) -> list[dict[str, object]]:
    """The entries of ``configs`` in a README's front matter; none where it has no such list."""
    start, *rest = readme.decode("utf-8", errors="replace").replace("\r\n", "\n").split("---\n", 2)
    if start.strip() or len(rest) < 2:
        return []
    try:
        card = yaml.safe_load(rest[0])
    except yaml.YAMLError:
        return []
    found = card.get("configs") if isinstance(card, dict) else None
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def write_readme(configurations: dict[str, dict[str, str]], text: str) -> bytes:
    """A README whose front matter names configuration -> split -> path pattern, and what it says below."""
    entries = [
        {
            "config_name": name,
            "data_files": [{"split": split, "path": path} for split, path in splits.items()],
        }
        for name, splits in configurations.items()
    ]
    front = yaml.safe_dump({"configs": entries}, sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n{text}".encode()
