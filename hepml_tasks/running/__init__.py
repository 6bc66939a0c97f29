"""Fit and predict on a task, fold by fold, into a run folder."""
