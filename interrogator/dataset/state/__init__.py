"""What a run keeps on disk, so that it can continue.

run_folder    the folder of a run
plan          which pictures, in which shards
parts         what is done, one file a shard
overviews     what holds for how many of the pictures
revision      the plan after the sources changed
glance        whether the sources still hold what was planned
comparison    what the sources hold now against what was planned
originals     the files of a target before the run, for an undo
pictures      those that a run brings to its captions
renewal       a new plan with the records of the one before
left_out      what the run takes of its sources, and what it leaves out
locks         one run at a time in a folder
cleanup       temporary files that a killed process left
fingerprints  which weights wrote the captions
"""
