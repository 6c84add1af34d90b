"""How a data node or a bank comes to be a party: its keys and directory, and its request to the coordinator.

`founding`   draws every key into a new directory, with the one readable settings file
`dialling`   one exchange with the enrolment service, whose key must be the one that the token names
`joining`    asks, waits for the operator's word, and writes what is granted
"""
