"""Where an owner's features come from: a table in a file, or raw records with the owner's own SQL."""

from nodes.sources.dataset import DatasetDescription, read_description
from nodes.sources.tables import is_identifier, read_bank_source, read_node_source, require_usccs, uses_usccs

__all__ = [
    "DatasetDescription",
    "is_identifier",
    "read_bank_source",
    "read_description",
    "read_node_source",
    "require_usccs",
    "uses_usccs",
]
