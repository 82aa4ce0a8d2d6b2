include "_integer.pxi"
