"""From frames to reports: capture, analysis, sink queues, health."""
