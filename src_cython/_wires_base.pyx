include "_wires.pxi"
