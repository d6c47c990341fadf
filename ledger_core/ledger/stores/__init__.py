"""The built-in stores, one module each, over one SQL text."""
