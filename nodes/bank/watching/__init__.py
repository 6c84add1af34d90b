"""What the bank's node does by itself: batches, monitors, and the webhooks that tell of them.

alarms     what is worth telling about an enterprise that is watched
batches    answers the rows of batches, and goes on where it was
schedule   scores monitored enterprises when their time has come
webhooks   signs events, and delivers them until they are taken or given up
"""
