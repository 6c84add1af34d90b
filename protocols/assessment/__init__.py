"""One assessment: a signed manifest, masked shares of a score, and the sum that only the requesting bank can open."""
