"""The one-class SVM and its solver."""
