"""How work runs, whatever it is: parallel shards, device, disk space, progress, run record."""
