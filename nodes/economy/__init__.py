"""A synthetic economy for demonstrations and tests: monthly raw records of five offices, never of a real enterprise."""

from nodes.economy.economy import Economy, generate
from nodes.economy.timeline import AS_OF
from nodes.economy.writing import write

__all__ = ["AS_OF", "Economy", "generate", "write"]
