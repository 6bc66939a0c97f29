"""The embedded OpenML-compatible server: what the stock `openml` client and the bot need."""

from __future__ import annotations
