"""Licences of data: where each is found, and what archives call it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Licence:
    """A licence that data are published under.

    Parameters
    ----------
    spdx : str
        Its identifier in the SPDX licence list, by which Zenodo knows it too, in lower case.
    title : str
    url : str
        Its text.
    """

    spdx: str
    title: str
    url: str


_CC = "https://creativecommons.org"
_KNOWN = (
    Licence(
        "CC0-1.0",
        "Creative Commons Zero v1.0 Universal",
        f"{_CC}/publicdomain/zero/1.0/",
    ),
    Licence(
        "CC-BY-4.0", "Creative Commons Attribution 4.0 International", f"{_CC}/licenses/by/4.0/"
    ),
    Licence(
        "CC-BY-SA-4.0",
        "Creative Commons Attribution Share Alike 4.0 International",
        f"{_CC}/licenses/by-sa/4.0/",
    ),
    Licence(
        "CC-BY-NC-4.0",
        "Creative Commons Attribution Non Commercial 4.0 International",
        f"{_CC}/licenses/by-nc/4.0/",
    ),
    Licence("MIT", "MIT License", "https://spdx.org/licenses/MIT.html"),
    Licence(
        "BSD-3-Clause",
        'BSD 3-Clause "New" or "Revised" License',
        "https://spdx.org/licenses/BSD-3-Clause.html",
    ),
    Licence("Apache-2.0", "Apache License 2.0", "https://spdx.org/licenses/Apache-2.0.html"),
    Licence(
        "ODbL-1.0",
        "Open Data Commons Open Database License v1.0",
        "https://spdx.org/licenses/ODbL-1.0.html",
    ),
)
_ALIASES = {"cc0": "cc0-1.0", "cc-zero": "cc0-1.0"}


def find_licence(name: str) -> Licence | None:
    """Find a licence by what a task file calls it.

    Parameters
    ----------
    name : str
        Such as ``CC0``, ``CC BY 4.0`` or ``BSD-3-Clause``.

    Returns
    -------
    Licence or None
        None for a licence that isn't in the list.
    """
    key = "-".join(name.casefold().split())
    key = _ALIASES.get(key, key)
    return next((known for known in _KNOWN if known.spdx.casefold() == key), None)


def licence_names() -> tuple[str, ...]:
    """Return the identifiers of all licences in the list."""
    return tuple(known.spdx for known in _KNOWN)
