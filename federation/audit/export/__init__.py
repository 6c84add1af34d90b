"""A log as a folder of files, to read, to load elsewhere and to verify for years without us.

writing   makes one, and names its files
reading   reads it as a log (`LogView`)
checking  verifies it, line by line, against the signed notes
"""
