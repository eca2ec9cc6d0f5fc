"""From a trace to what people read."""
