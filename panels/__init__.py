"""Pictures of what nets do: segmentations, kernels, spectra, samples, projections."""
