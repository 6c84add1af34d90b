"""The coordinator as a service: every party's stream ends here, and what one asks is passed on to the others.

authority      certificates: issues them, and says whose one is
settings       what `coordinator.yaml` says
switchboard    the streams that are up, one a party
server         admits a stream by its certificate, and bounds it
desk           serves what a party asks: route, ask the nodes, collect the answers
witnesses      has the log cosigned, again and again
service        all of it together
"""
