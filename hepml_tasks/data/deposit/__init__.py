"""Deposits: a dataset in every format, with card and checksums, and its way into an archive."""
