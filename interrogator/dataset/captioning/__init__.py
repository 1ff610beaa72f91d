"""From pictures to the models' texts.

masked        pictures of which only what a mask shows is seen
pixels        what can be wrong with the pixels of a picture
images        pictures read and decoded in threads, each once, and prepared for every model
roles         the models of a run by role, and whether they can do what is asked
loader        Loader: loads the models, or only those that check
models        Models: prepared pictures in, results out
evidence_fields  phrases by evidence for the fields missing, common and distinctive
encoder_texts the text of each encoder of an image model
claim_checks  the claims of the texts, judged by the pictures
strategies    what each quality asks of the models
result        CaptionResult: the texts, phrases and tags of one picture
"""
