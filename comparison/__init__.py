"""Many runs compared: estimates, tests, tables, figures, TensorBoard."""
