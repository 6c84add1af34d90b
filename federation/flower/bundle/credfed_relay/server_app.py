"""The relay at the coordinator: the rounds of one run, routed by the coordinator's desk."""

from federation.flower.serving import make_server_app
from nodes.door import ask_socket

app = make_server_app(ask_socket)
