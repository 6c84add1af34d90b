"""A federation of separate processes on this machine: Flower's engine for training, one stream a party for questions.

    OUT/flower/superlink/        state.sqlite, tls, home/ (how the coordinator's own tools reach it)
    OUT/flower/<party>/          what the party's SuperNode may see: its key, the authority, home/, and agent.sock
    OUT/run/                     what `credfed up` knows of the running processes, and their combined log

`flower`      makes those folders, and says how SuperLink and SuperNodes are started
`namespaces`  where processes run: all on loopback, or each party in a network namespace of its own
`members`     which processes there are, and when each is ready
`training`    a bank's run over the deployed engine
`supervisor`  starts all processes, and keeps them running
`status`      what it says of them
`steering`    how a command starts it, waits for it, and stops it
"""
