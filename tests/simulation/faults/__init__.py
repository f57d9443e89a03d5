"""What may go wrong at each moment of each scenario, and what has to be so all the same.

`scenarios` says what people and clusters do, `table` what goes wrong, `timeline` and `ending` what must hold
while it does and after it; `runs` puts one of each together.
"""
