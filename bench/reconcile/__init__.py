"""What the operator costs and how fast it is, on a real control plane, beside a bare client's floor."""
