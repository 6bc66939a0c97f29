"""What an archive is told of a deposit: Zenodo's metadata of a task's dataset.

Fields and vocabularies: https://developers.zenodo.org, section "Deposit metadata".
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any

from hepml_tasks.data.croissant import description
from hepml_tasks.data.licences import find_licence, licence_names
from hepml_tasks.errors import SpecError, nearest
from hepml_tasks.spec import TaskSpec

RELATIONS = (
    "isCitedBy",
    "cites",
    "isSupplementTo",
    "isSupplementedBy",
    "isContinuedBy",
    "continues",
    "isDescribedBy",
    "describes",
    "hasMetadata",
    "isMetadataFor",
    "isNewVersionOf",
    "isPreviousVersionOf",
    "isPartOf",
    "hasPart",
    "isReferencedBy",
    "references",
    "isDocumentedBy",
    "documents",
    "isCompiledBy",
    "compiles",
    "isVariantFormOf",
    "isOriginalFormof",
    "isIdenticalTo",
    "isAlternateIdentifier",
    "isReviewedBy",
    "reviews",
    "isDerivedFrom",
    "isSourceOf",
    "requires",
    "isRequiredBy",
    "isObsoletedBy",
    "obsoletes",
)


def zenodo_metadata(
    spec: TaskSpec, *, communities: Sequence[str] = (), related: Sequence[str] = ()
) -> dict[str, Any]:
    """Describe a task's dataset to Zenodo.

    Parameters
    ----------
    spec : TaskSpec
        A dataset with a DOI makes the deposit one that ``isDerivedFrom`` it.
    communities : sequence of str
        Identifiers of the communities that are asked to take the deposit in.
    related : sequence of str
        Further relations, each as ``RELATION:IDENTIFIER``, such as
        ``isSupplementTo:10.1234/paper``.

    Returns
    -------
    dict

    Raises
    ------
    SpecError
        For a relation that Zenodo doesn't know, or a licence whose identifier isn't known here.
    """
    dataset = spec.dataset
    licence = find_licence(dataset.licence)
    if licence is None:
        raise SpecError(
            f"dataset {dataset.name}: licence {dataset.licence!r} is none that Zenodo is known to"
            f" take{nearest(dataset.licence, licence_names())}"
        )
    relations = [parse_relation(text) for text in related]
    if dataset.doi:
        relations.insert(0, {"relation": "isDerivedFrom", "identifier": dataset.doi})
    paragraphs = description(spec).split("\n\n")
    metadata: dict[str, Any] = {
        "upload_type": "dataset",
        "title": spec.title,
        "creators": [{"name": name} for name in dataset.creators],
        "description": "".join(f"<p>{html.escape(text)}</p>" for text in paragraphs),
        "access_right": "open",
        "license": licence.spdx.lower(),
        "version": dataset.version,
        "language": "eng",
        "keywords": ["high-energy physics", "machine learning", "benchmark"],
        "references": [dataset.citation],
        "prereserve_doi": True,
    }
    if relations:
        metadata["related_identifiers"] = relations
    if communities:
        metadata["communities"] = [{"identifier": name} for name in communities]
    return metadata


def parse_relation(text: str) -> dict[str, str]:
    """Read a relation such as ``isSupplementTo:10.1234/paper``.

    Raises
    ------
    SpecError
        If it has no identifier, or its first word is none of `RELATIONS`.
    """
    relation, _, identifier = text.partition(":")
    if not identifier.strip() or re.search(r"\s", identifier.strip()):
        raise SpecError(
            f"{text!r} is no relation: write RELATION:IDENTIFIER, such as"
            " isSupplementTo:10.1234/paper"
        )
    if relation not in RELATIONS:
        raise SpecError(f"{relation!r} is no relation of Zenodo{nearest(relation, RELATIONS)}")
    return {"relation": relation, "identifier": identifier.strip()}
