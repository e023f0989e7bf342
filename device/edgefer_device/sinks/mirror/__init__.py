"""The mirror page and who may see it."""
