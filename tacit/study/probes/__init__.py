"""Looks inside a trained model: what its thoughts hold and where it attends."""
