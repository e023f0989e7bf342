"""What a mood puts up, tells or starts."""
