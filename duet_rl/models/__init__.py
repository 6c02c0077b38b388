"""Networks: tensors in, tensors out; they know neither motion nor Ray."""
