"""Scores from predictions: the same code for client, server and command line."""
