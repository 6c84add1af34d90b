"""How the coordinator takes parties in, keeps their certificates fresh, and tells everybody who takes part.

`registry`    what operators have decided and parties have asked for, in one SQLite file
`registrar`   turns that into leaves of the log, certificates and rosters
`service`     the port at which invited parties ask to be enrolled
`inviting`    what the coordinator's operator does: invite, compare, approve, suspend
"""
