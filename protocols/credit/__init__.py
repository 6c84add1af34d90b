"""The credit conventions: weight of evidence, binning, logistic fit, score scale, validation measures.

Plain functions of aggregates and totals. The bank applies them to what it decrypted; the pooled oracle applies the very
same functions to plaintext, so that the two can be compared integer by integer.
"""
