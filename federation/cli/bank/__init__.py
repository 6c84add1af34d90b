"""The bank's commands: its process, its REST API, its questions."""
