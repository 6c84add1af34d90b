"""The auditor's commands: what the log says, whether it holds, and the console that shows it."""
