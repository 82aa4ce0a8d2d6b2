include "_floating.pxi"
