"""The task files: one YAML file a task and its dataset."""
