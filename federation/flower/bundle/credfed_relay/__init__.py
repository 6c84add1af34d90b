"""What the coordinator submits to its SuperLink: a relay at each end."""
