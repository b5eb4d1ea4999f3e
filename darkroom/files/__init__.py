"""Pictures on disk or in an object store, by their content."""
