"""How work gets done, whatever the work: runs of shards in parallel, device, disk space, progress,
the run record.
"""
