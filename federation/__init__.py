"""What runs at the coordinator, and what joins all parties on one machine.

An envelope comes in by a stream (`relay`) or by Flower (`flower`, `rounds`); `coordinator` verifies it and writes its
leaf into the log (`audit`) before it goes on to whom it is for.

coordinator  verify, log, route                                      relay        every party's stream, as a service
audit        the log, its proofs, searches and alarms                console      the log in a browser
enrolment    who takes part                                          enterprise   the desk for enterprises
flower       training over Flower's deployed engine                  process      what every long-lived process has
local        whole federations on one machine                        cli          the command line
report       pages about a run, a model, a month                     bench        measurements

Here: rounds over a grid (`rounds`, `grid`), what they did and how far they are (`traffic`, `outlook`), their recording
(`transcript`), the log's witnesses (`witnessing`), and the oracle on pooled plaintext (`oracle`).
"""
