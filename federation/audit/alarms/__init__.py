"""Alarms over the log: rules with stated thresholds, held against what the leaves say.

rules     the thresholds, as a settings file states them
facts     the log's questions and answers as tables, so that no rule needs the log in memory
events    what each rule counts, as queries over the facts
windows   sums over sliding windows, and the episodes in which they reach a threshold
words     what an alarm says, in English and in Chinese
watch     every rule, held against the facts
"""

from federation.audit.alarms.rules import AlarmRules
from federation.audit.alarms.watch import Alarm, Period, watch

__all__ = ["Alarm", "AlarmRules", "Period", "watch"]
