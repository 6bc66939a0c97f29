"""A dataset's metadata in Croissant, the JSON-LD that data catalogues and loaders read.

Format: Croissant 1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hepml_tasks.data.citation import bibtex
from hepml_tasks.data.columns import Column
from hepml_tasks.data.licences import find_licence
from hepml_tasks.spec import DatasetSpec, TaskSpec

RECORDS = "events"
"""The name of the record set: one record an event."""


@dataclass(frozen=True)
class Distribution:
    """A file that holds the dataset.

    Parameters
    ----------
    name : str
    url : str
        Its address, or its name where it stands beside the metadata.
    size : int, optional
        Bytes.
    sha256, md5 : str, optional
        Hexadecimal; one of them is needed.
    """

    name: str
    url: str
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None


_MEDIA_TYPES = {
    ".csv": ["text/csv"],
    ".csv.gz": ["text/csv", "application/gzip"],
    ".parquet": ["application/x-parquet"],
    # Croissant names formats without a registered media type by their page
    ".arff": ["https://ml.cms.waikato.ac.nz/weka/arff.html"],
    ".root": ["https://root.cern/manual/root_files/"],
    ".h5": ["application/x-hdf5"],
    ".hdf5": ["application/x-hdf5"],
    ".zip": ["application/zip"],
}
_DATA_TYPES = {
    "float": "sc:Float",
    "integer": "sc:Integer",
    "text": "sc:Text",
    "boolean": "sc:Boolean",
}
_READABLE = (".parquet", ".csv", ".csv.gz")
"""What Croissant's loaders read columns from, best first."""


def croissant(
    spec: TaskSpec, columns: Sequence[Column], files: Sequence[Distribution]
) -> dict[str, Any]:
    """Describe a task's dataset in Croissant.

    Parameters
    ----------
    spec : TaskSpec
    columns : sequence of Column
        Of the data; what the spec alone names has no fields, since patterns are no columns.
    files : sequence of Distribution
        Those without a sha256 or md5 are left out: Croissant requires one.

    Returns
    -------
    dict
        To be written as JSON. Fields are extracted from the Parquet or CSV file among `files`;
        without one there is no record set.
    """
    dataset = spec.dataset
    licence = find_licence(dataset.licence)
    document: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": dataset.name,
        "description": description(spec),
        "version": dataset.version,
        "license": licence.url if licence else dataset.licence,
        "url": landing_page(dataset),
        "sameAs": f"https://doi.org/{dataset.doi}" if dataset.doi else None,
        "citeAs": bibtex(dataset),
        "creator": [_creator(name) for name in dataset.creators],
        "datePublished": dataset.published,
        "keywords": ["high-energy physics", "machine learning", spec.type, spec.metrics.primary],
        "inLanguage": "en",
    }
    document = {key: value for key, value in document.items() if value is not None}
    held = [file for file in files if file.sha256 or file.md5]
    if held:
        document["distribution"] = [_file_object(file) for file in held]
    source = next((f for e in _READABLE for f in held if f.name.endswith(e)), None)
    if source is not None and all(column.type in _DATA_TYPES for column in columns):
        document["recordSet"] = [_record_set(columns, source)]
    return document


def description(spec: TaskSpec) -> str:
    """Tell what the data are, what they are for and what not, in plain text."""
    about = (spec.dataset.description, spec.about.physicist, spec.about.ml, spec.caveat)
    return "\n\n".join(" ".join(text.split()) for text in about)


def published_files(dataset: DatasetSpec) -> list[Distribution]:
    """Return a dataset's files as its publisher has them.

    Parameters
    ----------
    dataset : DatasetSpec
        Checksums other than md5 and sha256 have no place in Croissant and are left out.
    """
    files = []
    for file in dataset.files:
        algorithm, _, value = (file.checksum or "").partition(":")
        sums = {algorithm: value} if algorithm in {"md5", "sha256"} else {}
        url = file.urls[0] if file.urls else file.name
        files.append(Distribution(file.name, url, file.size, sums.get("sha256"), sums.get("md5")))
    return files


def landing_page(dataset: DatasetSpec) -> str | None:
    """Return the address of the page that tells of a dataset, where it has a DOI or a URL."""
    if dataset.doi:
        return f"https://doi.org/{dataset.doi}"
    if dataset.source and dataset.source.startswith(("http://", "https://")):
        return dataset.source
    return None


def _creator(name: str) -> dict[str, str]:
    kind = "sc:Person" if name.count(",") == 1 else "sc:Organization"
    return {"@type": kind, "name": name}


def _file_object(file: Distribution) -> dict[str, Any]:
    endings = [e for e in _MEDIA_TYPES if file.name.endswith(e)]
    media = _MEDIA_TYPES[max(endings, key=len)] if endings else ["application/octet-stream"]
    described: dict[str, Any] = {
        "@type": "cr:FileObject",
        "@id": file.name,
        "name": file.name,
        "contentUrl": file.url,
        "contentSize": None if file.size is None else f"{file.size} B",
        "encodingFormat": media[0] if len(media) == 1 else media,
        "sha256": file.sha256,
        "md5": file.md5,
    }
    return {key: value for key, value in described.items() if value is not None}


def _record_set(columns: Sequence[Column], source: Distribution) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": RECORDS,
        "name": RECORDS,
        "description": "One record an event.",
        "field": [_field(column, source) for column in columns],
    }


def _field(column: Column, source: Distribution) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{RECORDS}/{quote(column.name)}",
        "name": column.name,
        "description": field_description(column),
        "dataType": _DATA_TYPES[column.type],
        "source": {
            "fileObject": {"@id": source.name},
            "extract": {"column": column.name},
        },
    }


def field_description(column: Column) -> str:
    """Tell a column's role, meaning and unit in one line."""
    role = column.role.replace("_", " ") or "no role in the task"
    text = f"{column.description or column.name} ({role})"
    return f"{text}, in {column.unit}" if column.unit else text


# the terms of Croissant 1.0's own context, section "Appendix 1: JSON-LD context"
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        term: f"cr:{term}"
        for term in (
            "citeAs",
            "column",
            "equivalentProperty",
            "extract",
            "field",
            "fileProperty",
            "fileObject",
            "fileSet",
            "format",
            "includes",
            "isLiveDataset",
            "jsonPath",
            "key",
            "md5",
            "parentField",
            "path",
            "recordSet",
            "references",
            "regex",
            "repeated",
            "replace",
            "samplingRate",
            "separator",
            "source",
            "subField",
            "transform",
        )
    },
}
