"""Datasets: fetched or simulated, verified, kept, and taken apart by the roles of columns."""
