"""What is told of a log without being asked for.

daily     an audit a day, in a process of its own
month     what happened in a month
compose   the month's report: that, its alarms, and what does not reconcile
coverage  how often each node answered
"""
