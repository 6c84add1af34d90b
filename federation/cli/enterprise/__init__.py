"""The commands of an enterprise, and of the consent service that vouches for it."""
