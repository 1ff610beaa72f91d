"""Florence-2, in the layout of transformers and in that of its first code.

captioner   Florence2Captioner: a chat captioner that is asked by tasks
tasks       the tasks, as data
checkpoint  from a folder to a complete model, or an error
legacy      configuration and names of tensors of the first layout, as transformers has them
weights     the tensors of a folder, one at a time
"""
