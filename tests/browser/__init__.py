"""Tests in a real headless browser: `make test-browser`."""
