"""How the demo models were made.

data        training pictures, drawn once, and augmented batches of them
texts       texts of every form the library makes, each with its claims
words       phrases the encoder is taught, and words it is taught to leave alone
vocabulary  the two tokenizers
codes       a fixed code for every claim, the first target of both towers
classifier  the six attributes of a picture; checks the pictures, initialises the image tower
encoder     trains the tiny CLIP
captioner   trains the tiny BLIP
tagger      trains the tiny tagger, which shares nothing with the others
"""
