"""Many enterprises in one question: their scores share ciphertexts, and each is released or denied on its own."""
