include "_crossbar.pxi"
