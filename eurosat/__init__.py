"""EuroSAT Edge: what covers the land, classified offline by a small and proven model."""
