"""The desktop app, installed as `eurosat.gui`: Qt is loaded here and nowhere else."""
