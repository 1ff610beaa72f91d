"""Who captions the shards of a run beside this process: `processes` of this machine, or workers of `ray`."""
