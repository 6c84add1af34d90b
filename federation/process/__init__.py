"""What every long-lived process has: settings from a file, logs, health and metrics, a graceful end."""
