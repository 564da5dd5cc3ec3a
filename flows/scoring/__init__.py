"""score: which nights are due, shard scores, decision, report, publication and alerts."""
