"""Fit Keras models to a data set of class folders."""
