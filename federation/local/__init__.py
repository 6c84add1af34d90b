"""A whole federation in one process: every party in its own folder, talking in Flower messages alone.

The one package that joins nodes and coordinator. Each party's agent is built from that party's folder and source; what
passes between them passes as serialised messages over the embedded grid, which an observer may record.

layout         names, folders, `federation.json`
founding       make every party's folder and keys
parties        open each party from its folder
consents       the consent service, which stands for the enterprises
models         the banks there, and their signed models
federation     all parties alive; train and assess
bank_service   the bank's port to it
"""
