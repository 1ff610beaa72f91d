"""What captions the shards of a run in other processes.

processes      one process for each GPU of this machine
ray            workers of a Ray cluster
progress_poll  calls the watcher while an engine is silent
"""
