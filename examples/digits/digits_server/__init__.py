"""A handwritten-digit classifier behind MLServer: its pixels, its training and its serving."""
