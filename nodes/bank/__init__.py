"""What runs at a bank: its agent, its runs and questions, its models and results.

agent           one door for all that comes: opens runs and questions, and alone can read what they bring
site, opening   what the bank brings to the federation, and how that is brought to life from a directory
training/       the runs it opens, the rows and labels they train on
model/          the signed file of a model, and the one in force
asking/         questions and batches, up to their results
service         what its own systems ask of the federation; `stream_service`: over its outbound stream
api/            its REST API
report/         credit reports, as page and PDF
store/          what all of that keeps, in one database
watching/       what it does by itself: batches, monitors, webhooks
settings        what `bank.yaml` says
"""
