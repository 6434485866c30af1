"""The control plane: owns desired configurations and runs servers on platforms."""
