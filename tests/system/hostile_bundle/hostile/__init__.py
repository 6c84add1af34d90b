"""A hostile app bundle."""
