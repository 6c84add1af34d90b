"""Training over Flower's deployed engine: what runs beside a SuperLink at the coordinator's.

`bundle/`        the app bundle that is submitted: two files, a relay at each end
`desk`           the coordinator's end: routes for the ServerApp what parties have sent, and keeps what it reports
`desk_messages`  what ServerApp and desk say to each other
`serving`        the ServerApp's end: the same rounds as in one process, asked of the desk
`prompt_grid`    Flower's grid without its longest wait
`superlink`      Flower's SuperLink, of which other machines reach the Fleet API alone
"""
