"""The model files that ship with EuroSAT Edge, installed as `eurosat.models`: data, no code."""
