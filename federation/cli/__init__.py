"""The command line, `credfed`: `main` lists every command with the module of its code.

`menu` loads that module when the command is called; `output` is what all of them print with. A group with many commands
has a module for each, named for the group: `audit`, `audit_alarms`, …; `bench_audit`, `bench_console`, …
"""
