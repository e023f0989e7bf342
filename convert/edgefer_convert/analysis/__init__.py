"""Looking into a bundle: parity of its formats, quantization sensitivity."""
