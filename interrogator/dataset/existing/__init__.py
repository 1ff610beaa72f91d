"""What a dataset says of a picture already, in whatever form.

finder   ExistingTexts: finds the text of a picture in the target, in its source, beside it
texts    ExistingText: a text that was found, and the captions in it
joining  new captions put to those that are there
tables   tables of names and texts, and the columns in them
"""
