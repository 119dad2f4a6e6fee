"""The difficulty model: features, ONNX serving and training."""
