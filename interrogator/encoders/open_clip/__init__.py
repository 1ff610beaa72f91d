"""Any open_clip model as an encoder.

encoder        OpenClipEncoder: images and texts to unit vectors
files          locates a model's parts on disk: weights, tokenizer, configuration
builder        builds model and tokenizer from those parts
text_features  the model's own text tower, with the shortest exact padding
trial          verifies that the prefix-sharing tower gives the model's own features
"""
