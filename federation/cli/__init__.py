"""The command line, `credfed`: one module per command, `output` for what all of them print."""
