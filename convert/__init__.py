"""Export Keras models to TFLite and prove that accuracy holds."""
