"""Copies of fetched files in a folder of the user's own."""

from __future__ import annotations

import filecmp
import shutil
from pathlib import Path

from hepml_tasks.errors import OutputError
from hepml_tasks.formats.atomic import atomic_path


def place(path: Path, folder: Path, name: str) -> Path:
    """Copy a file into a folder, whole or not at all; one that is there and equal stays.

    Parameters
    ----------
    path : Path
        It is copied and not linked, so that whoever changes the copy leaves the cache alone.
    folder : Path
        Made if need be.
    name : str

    Raises
    ------
    OutputError
        If another file of this name is there, which is never replaced, or it can't be written.
    """
    target = folder / name
    try:
        if target.exists():
            if target.is_file() and filecmp.cmp(path, target, shallow=False):
                return target
            raise OutputError(
                f"{target}: is there already and is another file; move it away, or name another"
                " folder"
            )
        with atomic_path(target) as temporary:
            shutil.copyfile(path, temporary)
    except OSError as error:
        raise OutputError(
            f"{target}: can't be written ({error.strerror or error}); free some room, or name"
            " another folder"
        ) from error
    return target
