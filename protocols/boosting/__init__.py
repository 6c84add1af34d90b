"""Gradient boosting on encrypted gradients: trees that live at one node each, and add up to one score.

`messages` lists everything that crosses a boundary; `bank` and `node` are the roles (the coordinator's is that of a
scorecard run); `growth` decides splits, `partition` applies them; `stages` weighs what was grown; `plaintext` is the
same arithmetic on pooled rows, the oracle that they must equal. See docs/boosting.md.
"""
