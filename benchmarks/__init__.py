"""Benchmarks of the library against clip-interrogator 0.6.0, with the same weights and the same phrases.

    python -m benchmarks                          # everything, hours on a small machine; writes RESULTS.md here
    python -m benchmarks --work rank --pairs 20   # one benchmark, added to earlier results

plan      the benchmarks: target of each, and the models it runs on
sizes     full and tiny sizes of all benchmarks
works/    one module per benchmark: preparation (untimed), both sides alternating, checks, a Result
running   runs one benchmark and saves its result
timing    alternating pairs of runs, and peak memory
peer      clip-interrogator around one of our models
models    random weights in the sizes of real models
material  the picture, the caption, the phrases, and embedding tables for both sides
machine   the machine and the versions
results   Result, saved as JSON, one file per benchmark
report    RESULTS.md from all saved results

Each benchmark runs in its own process, so that memory and caches do not affect one another.
Prompts are judged by `interrogator.evaluation`, which `interrogator bench` uses, too.
"""
