"""Files to Arrow tables and back, and nothing else."""
