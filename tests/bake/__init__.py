"""`bake_ami` from start to end on moto, the only emulator that makes images. See builders.py for its builders."""
