"""One-class SVM and its solver."""
