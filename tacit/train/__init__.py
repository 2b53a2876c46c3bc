"""Training: one loop for every method.

`session.train` goes from a recipe's name to a run folder; `fit.fit` is the loop itself, for callers that bring their own
model, method and examples. The loop knows nothing about any method and nothing about any task.
"""
