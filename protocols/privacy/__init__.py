"""Differential privacy of released sums: exact noise, what it costs, and how much room it needs.

sampling     discrete Laplace and Gaussian numbers, exact, from random bytes that the caller supplies
mechanism    the noise of one release, or none
accounting   zero-concentrated privacy (ρ) in words that people know: ε at δ

Pure and free of floating point wherever a number is drawn: a rounded exponential is a leak (Mironov, CCS 2012).
"""

from protocols.privacy.accounting import NANO, epsilon
from protocols.privacy.mechanism import NO_NOISE, GaussianNoise, Noise, NoNoise, gaussian

__all__ = ["NANO", "NO_NOISE", "GaussianNoise", "NoNoise", "Noise", "epsilon", "gaussian"]
