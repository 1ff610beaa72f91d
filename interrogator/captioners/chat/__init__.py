"""Chat models and their like: everything that transformers loads as `AutoModelForImageTextToText`.

captioner      ChatCaptioner: images and a question in, captions out
families       what differs between families, as data: default question, length, image tokens
configuration  whether a folder can be loaded, by its config.json alone
checkpoint     from a folder to a complete model, or an error
processor      the processor of a folder, in the files of transformers 4 and 5
wording        a question as the text that stands in front of the answer
inputs         images and texts as tensors, checked
vision_groups  the vision tower, a few pictures at a time
writing        answers token by token
answer_text    from tokens to captions
token_rules    which token comes next: penalties, forbidden words, reproducible random numbers
"""
