include "_truenorth.pxi"
