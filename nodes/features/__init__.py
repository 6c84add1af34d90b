"""Features by SQL that their owner can read: one file per domain, and the catalogue that defines every column."""

from nodes.features.catalogue import FeatureDefinition, load_catalogue
from nodes.features.compute import DEFAULT_AS_OF, compute_features
from nodes.features.table import FeatureTable

__all__ = ["DEFAULT_AS_OF", "FeatureDefinition", "FeatureTable", "compute_features", "load_catalogue"]
