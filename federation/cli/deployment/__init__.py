"""A federation of processes on this machine, the coordinator's own, and backups."""
