"""An embedded local Kubernetes cluster on one plain Linux machine, built from source modules."""
