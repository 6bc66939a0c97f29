"""All that knows OpenML: registration, publication, the wire."""
