"""Where a log's rows are, and what of a database the log needs.

location  the coordinator's folder, and whether the log is a file in it or a PostgreSQL database
rows      the log's reads and writes, over a session
session   what a session can do, and which one a location has
sqlite    a session of a file
postgres  a session of a server
"""
