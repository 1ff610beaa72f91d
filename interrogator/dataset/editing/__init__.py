"""Editing captions that are there, without a model.

edit        Edit: what is done to the texts, as settings hold it
operations  what can be done to a text, by name
wording     brackets, underscores, case and words of a line
origins     where the texts come from
characters  which tags are characters
counts      how often each tag is there
run_facts   what is found out once for a run
editor      Editor: stands where a run has its models
runs        opening an edit as a run, and showing what it would do
statistics  tags, words and lengths of a dataset's texts
"""
