"""How a dataset is cited: its BibTeX entry.

Format: BibTeX as `btxdoc` (O. Patashnik, "BibTeXing", 1988) describes it; entry type ``misc`` with
the fields ``doi`` and ``version`` that biblatex reads.
"""

from __future__ import annotations

import re

from hepml_tasks.spec import DatasetSpec

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{c: f"\\{c}" for c in "{}$&%#_"},
}


def bibtex(dataset: DatasetSpec, *, title: str | None = None) -> str:
    """Return the BibTeX entry of a dataset.

    Parameters
    ----------
    dataset : DatasetSpec
    title : str, optional
        The dataset's name by default.

    Returns
    -------
    str
        One ``@misc`` entry that ends with a line break. Characters that TeX reads as commands
        are escaped; letters beyond ASCII are left as UTF-8.
    """
    fields = {
        "author": " and ".join(_author(name) for name in dataset.creators),
        "title": "{" + _escaped(title or dataset.name) + "}",
        "year": publication_year(dataset),
        "version": _escaped(dataset.version),
        # a DOI is a name and no text: biblatex sets it verbatim
        "doi": dataset.doi,
        "url": f"https://doi.org/{dataset.doi}" if dataset.doi else None,
        "note": _escaped(dataset.citation),
    }
    width = max(len(name) for name in fields)
    lines = [f"  {name:<{width}} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@misc{{{citation_key(dataset)},", *lines, "}"]) + "\n"


def citation_key(dataset: DatasetSpec) -> str:
    """Return the entry's key: name and version, of letters, digits and ``-`` alone."""
    return re.sub(r"[^A-Za-z0-9]+", "-", f"{dataset.name}-{dataset.version}").strip("-")


def publication_year(dataset: DatasetSpec) -> str | None:
    """Return the year of publication or, where only that is known, of collection."""
    for date in (dataset.published, dataset.collection_date):
        if date and (found := re.match(r"\d{4}", date)):
            return found[0]
    return None


def _author(name: str) -> str:
    # "Family, Given" is a person; anything else, such as a collaboration, is one unit
    person = name.count(",") == 1 and " and " not in name
    return _escaped(name) if person else "{" + _escaped(name) + "}"


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(c, c) for c in " ".join(text.split()))
