"""From a finished run to a net that ships: card, weights, manifest."""
