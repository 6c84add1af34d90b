"""How a party comes to be one, and stays one: what it asks for, what the coordinator grants, whom all then know.

`token`         the one-time word by which an invited party finds the right coordinator
`messages`      the request to be enrolled, and what answers it
`comparison`    the digits that two operators compare by voice
`certificates`  signing requests for TLS certificates
`roster`        the list of all parties, signed by the coordinator
`upkeep`        what an enrolled party asks for over its stream: certificates, and that its next card be known
"""
