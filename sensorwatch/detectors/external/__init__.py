"""Estimators and models of other libraries: scikit-learn and ONNX."""
