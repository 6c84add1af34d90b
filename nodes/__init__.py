"""What runs at a party's own site: a data owner's, a bank's, an enterprise's. It never imports the coordinator's.

A request comes in as bytes, by a stream, by Flower or by a call, and goes to the party's one agent (`boundary`); the
agent checks consent and policy, computes, writes its ledger, and only then gives bytes back.

data_node    a data owner's agent, its training and its answers      bank         a bank's agent, models and REST API
enterprise   an enterprise's own key, record and objections          enrolment    how one comes to be a party
sources      tables and SQL views of an owner                        features     features by SQL, and their catalogue
policy       what an owner allows                                    ledger       what a party released, durable
stream       the outbound stream to the coordinator                  backup       a party's directory in one file
economy      made-up records for demonstrations

Here: the doors (`boundary`, `door`, `flower_relay`, `flower_node`), a party's keys (`keystore`, `keyring`, `rotation`,
`further_keys`, `upkeep`, `party_home`), and what nodes and banks share (`binning`, `budgets`, `clock`,
`consent_sources`, `log_witness`, `statements`).
"""
