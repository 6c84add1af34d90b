"""The bank's model as a file.

format    what stands in it, and its signature
file      made of a finished run
quality   how it did on the rows that tested it
in_force  the one with which the bank asks now
"""
