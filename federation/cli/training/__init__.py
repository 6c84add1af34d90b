"""Training from the command line: the job, its results, the model and what a person sees of them."""
