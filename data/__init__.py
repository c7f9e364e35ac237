"""Data sets for UpZoo, each a LightningDataModule; importing this package costs nothing."""
