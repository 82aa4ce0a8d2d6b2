include "_graded.pxi"
