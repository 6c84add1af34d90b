"""The relay at a party: from a SuperNode to the socket of the party's own agent."""

from nodes.flower_relay import make_socket_app

app = make_socket_app()
