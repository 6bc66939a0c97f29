"""Archives and other places that data come from: an address in, what is published there out.

======================  ============================================================================
address                 such as
======================  ============================================================================
Zenodo                  ``zenodo:4924875``, ``10.5281/zenodo.4924875`` (a version's DOI, or that of
                        all versions: the newest is pinned), ``https://zenodo.org/records/4924875``
CERN Open Data          ``cernopendata:328``, ``10.7483/OPENDATA.ATLAS.ZBP2.M5T8``,
                        ``https://opendata.cern.ch/record/328``
a file on a server      ``https://…``, ``root://…``
a file on this machine  a path, ``file://…``
======================  ============================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hepml_tasks.data.sources.record import Record


def locate(address: str) -> Record:
    """Ask the archive that an address belongs to what is published there.

    Parameters
    ----------
    address : str
        As in this package's table; a task's name is none.

    Returns
    -------
    Record
        Of one version, whatever the address stands for. No file of it has been fetched.

    Raises
    ------
    DataError
        If the address is none that is known, or the archive doesn't tell.
    """
    # the transports ask this package for keys, and the sources ask the transports
    from hepml_tasks.data.sources import addresses

    return addresses.locate(address)
