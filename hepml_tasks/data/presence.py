"""Whether a dataset's events are on this machine, so that nothing has to be fetched for them."""

from __future__ import annotations

from pathlib import Path

from hepml_tasks import settings
from hepml_tasks.data.cache import state_of
from hepml_tasks.data.transports import transport_of
from hepml_tasks.spec import DatasetSpec, FileSpec


def is_at_hand(dataset: DatasetSpec) -> bool:
    """Whether the events can be had without a network: made here, kept here, or in a folder here.

    Parameters
    ----------
    dataset : DatasetSpec
    """
    if dataset.simulator is not None:
        return dataset.simulator.seed is not None
    if dataset.derived is not None:
        return is_at_hand(dataset.derived.source)
    return all(_is_here(file, dataset.name) for file in dataset.files)


def _is_here(file: FileSpec, dataset: str) -> bool:
    if state_of(file, dataset=dataset) != "absent":
        return True
    folders = [m for m in settings.mirrors() if transport_of(m) is None]
    beside = [Path(url) for url in file.urls if transport_of(url) is None]
    places = [Path(f) / below for f in folders for below in (file.name, f"{dataset}/{file.name}")]
    return any(place.is_file() for place in (*places, *beside))
