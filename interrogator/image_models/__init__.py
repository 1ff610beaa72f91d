"""Image models: what the text encoders of each read, and the texts for them.

table           the image models, each with its text encoders and their limits: data only
words           what there is to say of a picture: caption, phrases, tags
texts           the text of each encoder
keywords        phrases and tags in a row, with weights if asked for
sentences       caption and phrases as sentences, by a template
token_counts    how many tokens of an encoder a text has
"""

from .table import IMAGE_MODELS, ImageModel, TextEncoder, image_model
from .texts import TextOptions, texts_for
from .words import Word, Words

__all__ = ["IMAGE_MODELS", "ImageModel", "TextEncoder", "TextOptions", "Word", "Words", "image_model", "texts_for"]
