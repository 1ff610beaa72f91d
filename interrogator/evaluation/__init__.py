"""How good prompts are, measured on pictures whose truth is known.

creature_truth    what is true of a demo creature
creature_prompts  how much of the prompts of demo creatures is true
creature_claims   one wrong attribute put into the true caption of a creature
planted           embeddings whose truth is known
worlds            all of these together
picture_bench     modes compared on pictures whose true prompts are known
agreement         which phrases of two prompts say the same
reference         clip-interrogator as a peer
bootstrap         intervals of what was measured
"""
