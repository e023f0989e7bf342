"""What a conversion may cost, measured and judged."""
