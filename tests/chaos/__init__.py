"""What must not break the promise: killed processes, a database that is away, two of one."""
