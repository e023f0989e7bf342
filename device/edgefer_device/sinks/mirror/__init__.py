"""The mirror page, its server and its messages."""
