"""`edgefer predict`: the expressions in image files."""
