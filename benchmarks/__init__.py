"""What the library is measured at, beside clip-interrogator 0.6.0 on the same weights and the same phrases.

    python -m benchmarks                          # all of it, hours on a small machine; writes RESULTS.md beside this
    python -m benchmarks --work rank --pairs 20   # one part, put beside what was measured before

plan.py      the works: what was asked of each, which models it runs on
works/       one module a work: prepare (untimed), both sides in turn, checks, a Result
timing.py    pairs run in turn, and peak memory
peer.py      clip-interrogator around a model of ours
models.py    random weights in the sizes of real models
material.py  the picture, the caption, the phrases, and embedding tables for both sides
machine.py   what machine and which versions it was
results.py   Result, kept as JSON, one file a work
report.py    RESULTS.md out of all that was kept

Each work runs in a process of its own, so memory and caches of one do not touch another.
"""
