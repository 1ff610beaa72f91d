"""What a run keeps on disk, so that it can be taken up again.

run_folder    the folder of a run
plan          which pictures, in which shards
parts         what is done, one file a shard
locks         one run at a time in a folder
cleanup       files that a killed process left
fingerprints  which weights wrote the captions
"""
