"""Training a scorecard on encrypted aggregates: cohort, histograms, Gram matrix, refinements, manifest.

`messages` lists everything that crosses a boundary; `bank`, `node` and `relay` are the three roles, state machines that
take an envelope and give envelopes; `plaintext` is the same arithmetic on pooled rows, the oracle that they must equal.
"""
