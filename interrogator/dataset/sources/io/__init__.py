"""Reading what sources are made of.

storage        files of this machine or of any file system that fsspec knows
folder_walk    every file of a folder once, in the order of the keys
tar            the members of a tar that may be damaged
tables         rows of jsonl, csv and parquet files
parquet_table  an open parquet file, one row group at a time
handle_pool    open files that one read leaves for the next
errors         what reading raises, and how it is put in words
windows_names  names of files as Windows writes them
"""
