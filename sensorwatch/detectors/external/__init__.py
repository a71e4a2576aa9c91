"""Models from outside: scikit-learn estimators and ONNX models."""
