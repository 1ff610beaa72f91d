"""How the demo models were made: pictures, texts, tokenizers, towers, captioner."""
