"""One module a work, each with `run(Task) -> Result`; plan.py names them."""
