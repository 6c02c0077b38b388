"""Motion as tokens: quantizers, convolutions, VQ-VAEs, frames of reference and the duet codec."""
