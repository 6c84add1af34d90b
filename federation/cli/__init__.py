"""The command line, `credfed`: `main` lists every command with the module of its code.

`menu` loads that module when the command is called; `output` is what all of them print with. A folder holds the
commands of one kind of user, and what only they need:

    bank         asks, and serves its REST API          audit        what the log says; the console
    training     a run, its results, the model          membership   founding, enrolment, keys, Flower's processes
    node         a data owner's hand on its node        deployment   processes on one machine, backups
    enterprise   its record, its consents               bench        what this machine does in a second
"""
