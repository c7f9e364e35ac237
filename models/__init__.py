"""Decoders whose upsampling is one argument, in pure torch."""
