"""`quoter doctor`: finds out why calls fail. `steps.py` lists the steps; each has a function of its name."""
