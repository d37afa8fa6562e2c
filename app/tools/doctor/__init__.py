"""The command `doctor`: finds out why calls fail, step by step.

`steps.py` lists the steps in their order; each is a function of that name in `target.py`, `connection.py`,
`tls.py`, `health.py`, `token.py` or `call.py`. A step takes the facts (`facts.py`), and returns a finding
with further facts, or raises the error that ends the examination (`report.py`).
"""
