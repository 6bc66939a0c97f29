"""Text in blocks of whole lines, and work on blocks by several threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import pyarrow as pa

from hepml_tasks.errors import FormatError

In = TypeVar("In")
Out = TypeVar("Out")

_LONGEST = 64_000_000


def whole_lines(pieces: Iterable[bytes], origin: str, *, quote: bytes = b"") -> Iterator[bytes]:
    """Cut text into blocks that end where a line ends.

    Parameters
    ----------
    pieces : iterable of bytes
        One block comes of each, about.
    origin : str
        The file that an error names.
    quote : bytes
        The mark between two of which a line break doesn't end a row, where there is one.

    Raises
    ------
    FormatError
        If a line never ends.
    """
    rest = b""
    for piece in pieces:
        text = rest + piece
        end = _last_end(text, quote)
        if end:
            yield text[:end]
        rest = text[end:]
        if len(rest) > _LONGEST:
            raise FormatError(
                f"{origin}: a line has more than {_LONGEST / 1e6:.0f} MB; is it a file of text?"
            )
    if rest:
        yield rest


def _last_end(text: bytes, quote: bytes) -> int:
    """Return where the last line ends that no open quote goes beyond."""
    last = text.rfind(b"\n") + 1
    end = last
    while quote and end and text.count(quote, 0, end) % 2:
        end = text.rfind(b"\n", 0, text.rfind(quote, 0, end)) + 1
    # a mark that is never closed is a mark within a field
    return end or (last if len(text) > _LONGEST else 0)


def in_order(work: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
    """Apply a function to items by several threads, results in order and few at a time.

    Parameters
    ----------
    work : callable
        Arrow's functions let other threads run.
    items : iterable
        Taken one by one, no more than there are threads, and one, ahead of the results.
    """
    threads = max(1, pa.cpu_count())
    if threads == 1:
        yield from map(work, items)
        return
    waiting: deque[Future[Out]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def text_of(rows: pa.StringArray) -> memoryview:
    """Return the texts of an array one after the other, as bytes and without a copy."""
    # the text of all rows stands in one piece behind their offsets
    _, offsets, content = rows.buffers()
    ends = memoryview(offsets).cast("i")
    return memoryview(content)[ends[rows.offset] : ends[rows.offset + len(rows)]]
