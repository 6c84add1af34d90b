"""The bank's training runs.

runs        those that it opens alone
consortium  those with other banks; `own_cut`: how all of them cut the columns that they share
split       which of its rows train, and which test
labels      reported outcomes as labels in its own file; `reported`: in the place of labels, without one
run_line    its line to the coordinator, over which a run is handed in and followed
"""
