"""What a person looks at after a run.

findings/   what should be known of captions and pictures
report/     the page, and the same for machines
dhash       pictures that look alike
thumbnails  small pictures for the page
"""
