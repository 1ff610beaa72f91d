"""From pictures to what the models say of them.

images      pictures read and decoded in threads, each once, and prepared for every model
models      the models of a run: prepared pictures in, captions out
strategies  what each quality asks of the models
residency   which models are on the accelerator
result      Candidate and what the models say of one picture
"""
