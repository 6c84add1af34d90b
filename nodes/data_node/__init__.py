"""What runs at a data owner: its agent, and the site it serves."""
