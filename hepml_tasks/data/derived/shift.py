"""The tau energy scale: the same events, as a detector with another calibration measures them.

The rule is that of V. Estrade and D. Rousseau for HiggsML (2016-2020) and of the FAIR Universe
challenge: the hadronic tau's transverse momentum is multiplied, its change is taken from the
missing transverse momentum, and everything that depends on the two follows. Two things are ours:
the scalar sum of energies moves with the tau, and what the file's derived columns hold beyond their
formulas is kept (see :mod:`hepml_tasks.data.derived.carried`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hepml_tasks.data.derived.carried import (
    check_threshold,
    primitive_of,
    selected,
    with_moved,
)
from hepml_tasks.data.derived.moves import scaled
from hepml_tasks.data.simulators.stream import Stream
from hepml_tasks.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = "1"
"""Version of the shift: changes whenever the same arguments give another table."""

SELECTED = "Selected"
"""Name of the column that says whether an event lies above the threshold."""

_SMALLEST, _LARGEST = 0.5, 2.0


def shift_tau(
    table: pa.Table, *, seed: int = 0, scale: float = 1.0, tau_pt_min: float = 22.0
) -> pa.Table:
    """Scale the hadronic tau's transverse momentum.

    Parameters
    ----------
    table : pyarrow.Table
        With the columns of HiggsML, null where undefined.
    seed : int
        At least 0: of the draw that spreads momenta within their last digit.
    scale : float
        0.5 to 2; 1 is the nominal scale, and the same code.
    tau_pt_min : float
        GeV. What a tau has to exceed after the shift. The source has a threshold of its own
        (20 GeV in HiggsML), which moves with the scale: this one has to lie above it for every
        scale that is compared, at 22 for 0.9 to 1.1.

    Returns
    -------
    pyarrow.Table
        All rows of the source, in its order and with their ids and weights, and a column
        ``Selected`` that is false where the tau is not above the threshold: such an event counts
        as not selected, whatever a classifier says of it. Without ``DER_mass_MMC``.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If an argument can't be used.

    Examples
    --------
    >>> from hepml_tasks.data.simulators import simulate
    >>> from hepml_tasks.data.table import without_sentinel
    >>> events = without_sentinel(simulate("toy-higgs", events=100, seed=1), -999.0)
    >>> up = shift_tau(events, scale=1.05)
    >>> round(up["PRI_tau_pt"][0].as_py() / events["PRI_tau_pt"][0].as_py(), 3)
    1.05
    """
    import pyarrow as pa

    if isinstance(scale, bool) or not isinstance(scale, int | float):
        raise DataError(f"tau-energy-scale: scale is {scale!r}; give a number")
    if not _SMALLEST <= scale <= _LARGEST:
        raise DataError(f"tau-energy-scale: scale is {scale!r}; give {_SMALLEST:g} to {_LARGEST:g}")
    before = primitive_of(table)
    check_threshold(before, "PRI_tau_pt", [scale], tau_pt_min)
    stream = Stream(seed, (), table.num_rows)
    after = scaled(before, "tau", np.full(table.num_rows, float(scale)), stream)
    passed = selected(after, {"PRI_tau_pt": tau_pt_min})
    return with_moved(table, before, after, stream).append_column(SELECTED, pa.array(passed))
