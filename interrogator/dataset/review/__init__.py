"""What a person reads after a run.

findings/   what a person should know about captions and pictures
report/     the page, and the same for machines
dhash       finding pictures that look alike
thumbnails  small pictures for the page
"""
