"""score: which nights are due, their shards, the decision, the report, publication, alerts."""
