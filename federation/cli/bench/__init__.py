"""What this machine does in a second, each measurement a command."""
