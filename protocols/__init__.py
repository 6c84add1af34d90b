"""What crosses a boundary, as pure code: no file, no socket, no clock. README.md says in which order to read it."""
