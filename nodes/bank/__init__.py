"""What runs at a bank: its agent, its runs and questions, its models and results."""
