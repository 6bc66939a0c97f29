"""What a run says of itself in `run_details`, the one field that every list of runs brings back.

OpenML has no place for a measure that it doesn't know, nor for a run's identity: both travel here.
"""

from __future__ import annotations

import re

from hepml_tasks.running.folder import RunFolder

_LIMIT = 1024

ERROR_SUFFIX = "_err"
"""Ends the name of a metric's uncertainty."""

TAG = "hepml_tasks"
"""On everything that this package puts on a server."""


def lineage_tag(task: str, split: str) -> str:
    """Return the tag of a task on a split, the same in every version of its dataset.

    The runs on it have it too: that is how all of them are found on a server that knows nothing
    of this package.
    """
    return re.sub(r"[^A-Za-z0-9_\-.]", "_", f"hepml_{task}_{split}")[:64]


ELSEWHERE_TAG = "not_reproducible"
"""On runs of predictions that were made elsewhere."""


def merit_tag(metric: str) -> str:
    """Return the tag that names the metric by which runs are ranked."""
    return f"figure_of_merit_{metric}"[:64]


def key_of(folder: RunFolder) -> str:
    """Return the key in a run folder's name: equal for runs that predict the same."""
    return folder.path.name.rpartition("--")[2]


def run_details(folder: RunFolder) -> str:
    """Return what a run says of itself in the field that every list of runs brings back.

    Returns
    -------
    str
        ``uuid:…,key:…,flow:…,seed:…,ams:2.78,ams_err:0.12,…`` in the characters and the length
        that OpenML takes.
    """
    description = folder.description
    parts = [
        f"uuid:{description['uuid']}",
        f"key:{key_of(folder)}",
        f"flow:{description['flow']['name']}",
        "made:elsewhere" if folder.made_elsewhere else f"seed:{description['seed']}",
    ]
    if folder.seconds > 0:
        parts.append(f"seconds:{folder.seconds:.4g}")
    for name, score in folder.scores["scores"].items():
        if score["value"] is not None:
            parts.append(f"{name}:{score['value']:.6g}")
            if score["uncertainty"] is not None:
                parts.append(f"{name}{ERROR_SUFFIX}:{score['uncertainty']:.3g}")
    text = re.sub(r"[^A-Za-z0-9_\-.,():]", "_", ",".join(parts))
    while len(text) > _LIMIT:
        text = text.rpartition(",")[0]
    return text


def parse_details(text: str | None) -> dict[str, str]:
    """Return the fields of `run_details` by name; nothing for a run of another program."""
    pairs = (part.partition(":") for part in (text or "").split(","))
    return {name: value for name, colon, value in pairs if colon}
