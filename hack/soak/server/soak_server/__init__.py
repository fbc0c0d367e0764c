"""The model server of `make soak`."""
