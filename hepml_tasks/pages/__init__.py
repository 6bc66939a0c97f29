"""Leaderboards as pages that work served and from disk."""
