"""What a task says of labels that it holds back."""

from __future__ import annotations

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class PrivateSpec:
    """Labels and weights of the test events are known to the server alone.

    Parameters
    ----------
    public : float
        Share of the test events whose score is told at once; the others' is told when the task's
        owner says so.
    per_day : int, optional
        Runs that a user may publish in a day of UTC; the server's own setting by default.
    digits : int
        Significant digits of the scores that are told: a score with all of its digits can be
        made to spell out labels.
    """

    public: float = Field(default=0.3, gt=0, lt=1)
    per_day: int | None = Field(default=None, ge=1)
    digits: int = Field(default=6, ge=2, le=17)
