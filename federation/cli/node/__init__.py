"""A data owner's commands: its process, its policy, its records, its hand on all of it."""
