"""What `credfed bench` measures: the Paillier engine beside naive `phe`, and HEU if asked for, in the same run."""
