"""Any open_clip model as an encoder.

encoder        OpenClipEncoder: images and texts to unit vectors
files          where a model's parts are on disk: weights, tokenizer, configuration
builder        model and tokenizer from those parts
text_features  the model's own text tower, with the shortest exact padding
trial          whether the prefix-sharing tower answers as the model does
"""
