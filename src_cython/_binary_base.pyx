include "_binary.pxi"
